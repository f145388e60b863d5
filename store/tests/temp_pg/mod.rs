//! A real Postgres for tests: one server for all tests of a run with a database for each ([`TempPg::new`]), or a server
//! of a test's own, which it may kill, freeze and start again ([`TempPg::own`]).
//!
//! Each test is a process of its own, so the common server belongs to nobody: it is found in a folder of the system's
//! temporary directory that is named after the user and the target directory, its users hold a shared lock there, and a
//! watcher ends it once nobody has held one for a while. Included by path into the tests of several crates.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The one role.
const ROLE: &str = "picloud";
/// What names all of our folders.
const PREFIX: &str = "picloud-pg-";
/// How long a server may take to answer after its start, on a machine with much else to do.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A test's data is worth no wait; connections are shared by all tests that run at once.
const SERVER_SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=32MB",
    "logging_collector=off",
];
/// Waits until nobody uses the server, looking every few seconds; `$1` the lock, `$2` the data, `$3` the file that says
/// which process the server is.
const WATCHER: &str = "while sleep 15; do
    flock --nonblock --exclusive \"$1\" sh -c '
        kill -QUIT \"$(head -n 1 \"$2\")\" 2>/dev/null
        while kill -0 \"$(head -n 1 \"$2\" 2>/dev/null)\" 2>/dev/null; do sleep 0.1; done
        rm -rf \"$1\"' sh \"$2\" \"$3\" && exit
done";

/// A database; it is dropped with this.
pub(crate) struct TempPg {
    server: Server,
    database: String,
    _users: File,
    own: bool,
}

/// Where a server is and how it is started.
struct Server {
    bin: PathBuf,
    /// Holds `socket/`, `data/`, `users` and the log.
    dir: PathBuf,
    /// The running process, where it is the test's own.
    child: Mutex<Option<Child>>,
}

impl TempPg {
    /// An empty database on the common server.
    pub(crate) fn new() -> Self {
        let server = Server::at(temp_dir(&format!("{PREFIX}{}-{:016x}", uid(), target_hash())));
        let starting = server.lock_file("starting");
        starting.lock().expect("lock the server's folder");
        let users = server.lock_file("users");
        users.lock_shared().expect("use the server");
        if !server.answers() {
            server.init();
            server.start_for_all();
        }
        drop(starting);
        Self::with_database(server, users, false)
    }

    /// A server of its own with an empty database.
    pub(crate) fn own() -> Self {
        sweep();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let server = Server::at(temp_dir(&format!("{PREFIX}own-{}-{}-{number}", uid(), std::process::id())));
        let users = server.lock_file("users");
        users.lock().expect("use the server");
        server.init();
        server.start();
        Self::with_database(server, users, true)
    }

    fn with_database(server: Server, users: File, own: bool) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let database = format!("t{}_{number}", std::process::id());
        // One of that name may be left from a test that was killed.
        server.sql("postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
        Self { server, database, _users: users, own }
    }

    /// `postgres://…`.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{ROLE}@localhost/{}?host={}", self.database, self.server.socket_dir().display())
    }

    /// Runs SQL with `psql`; answers the rows, columns with `|` between.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, sql)
    }

    /// The same where it may fail.
    pub(crate) fn try_sql(&self, sql: &str) -> Result<String, String> {
        self.server.try_sql(&self.database, sql)
    }

    /// Kills the server at once, as a pulled plug does. Of an own one.
    pub(crate) fn kill(&self) {
        let mut child = self.server.child.lock().expect("no test panicked with it").take().expect("it runs");
        // Its own children end when they see that it is gone; until then nobody may start on the same data.
        let pid = child.id();
        let family = children_of(pid);
        signal("KILL", pid);
        child.wait().expect("it was our child");
        for pid in family {
            signal("KILL", pid);
            while Path::new(&format!("/proc/{pid}")).exists() && !is_zombie(pid) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _gone = std::fs::remove_file(self.server.dir.join("data/postmaster.pid"));
    }

    /// Starts it again after [`TempPg::kill`]. Of an own one.
    pub(crate) fn start(&self) {
        self.server.start();
    }

    /// Stops every process of the server where it is, as a machine that hangs does. Of an own one.
    pub(crate) fn freeze(&self) {
        self.family().into_iter().for_each(|pid| signal("STOP", pid));
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.family().into_iter().for_each(|pid| signal("CONT", pid));
    }

    fn family(&self) -> Vec<u32> {
        let pid = self.server.child.lock().expect("no test panicked with it").as_ref().expect("it runs").id();
        let mut family = vec![pid];
        family.extend(children_of(pid));
        family
    }
}

impl Drop for TempPg {
    fn drop(&mut self) {
        if self.own {
            if let Ok(Some(mut child)) = self.server.child.lock().map(|mut child| child.take()) {
                signal("CONT", child.id());
                signal("QUIT", child.id());
                let _ended = child.wait();
            }
            let _removed = std::fs::remove_dir_all(&self.server.dir);
        } else {
            let _dropped =
                self.server.try_sql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database));
        }
    }
}

impl Server {
    fn at(dir: PathBuf) -> Self {
        // The server's user must get through.
        std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&dir).expect("make the server's folder");
        let owner = std::fs::metadata(&dir).expect("it was made").uid();
        assert_eq!(owner, uid(), "`{}` belongs to somebody else", dir.display());
        Self { bin: bin_dir(), dir, child: Mutex::new(None) }
    }

    fn lock_file(&self, name: &str) -> File {
        let path = self.dir.join(name);
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).expect("open a lock file")
    }

    /// The program of Postgres, as a user that it accepts: it refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        if uid() != 0 {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(path);
        command
    }

    /// Makes the data where there is none.
    fn init(&self) {
        let data = self.dir.join("data");
        for dir in [&data, &self.socket_dir()] {
            let _left_over = std::fs::remove_dir_all(dir);
            std::fs::create_dir(dir).expect("make the server's directories");
            if uid() == 0 {
                run(Command::new("chown").arg("nobody:nogroup").arg(dir));
            }
            std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).expect("only the server reads it");
        }
        // A collation that is not that of bytes: who forgets to say `COLLATE "C"` gets another order.
        run(self
            .program("initdb")
            .args(["--no-sync", "--no-instructions", "--auth=trust", "--encoding=UTF8", "--username", ROLE])
            .args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"])
            .arg("--pgdata")
            .arg(&data));
    }

    fn socket_dir(&self) -> PathBuf {
        self.dir.join("socket")
    }

    fn command(&self, own: bool) -> Command {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.dir.join("data")).arg("-k").arg(self.socket_dir());
        for setting in SERVER_SETTINGS {
            command.args(["-c", setting]);
        }
        // A server that is killed on purpose loses nothing that it answered.
        command.args(["-c", if own { "synchronous_commit=on" } else { "synchronous_commit=off" }]);
        let log = File::create(self.dir.join("log")).expect("make the log");
        let errors = log.try_clone().expect("the same log");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        command
    }

    /// Starts it as a child of this process.
    fn start(&self) {
        let child = self.command(true).spawn().expect("start `postgres`");
        *self.child.lock().expect("no test panicked with it") = Some(child);
        self.wait();
    }

    /// Starts it so that it outlives this process, and what ends it.
    fn start_for_all(&self) {
        let mut detached = Command::new("setsid");
        let command = self.command(false);
        let log = OpenOptions::new().append(true).open(self.dir.join("log")).expect("it was made");
        detached.arg("--fork").arg(command.get_program()).args(command.get_args());
        detached.stdin(Stdio::null()).stdout(log.try_clone().expect("the same log")).stderr(log);
        run_quietly(&mut detached);
        self.wait();
        let mut watcher = Command::new("setsid");
        watcher.args(["--fork", "sh", "-c", WATCHER, "picloud-pg-watcher"]);
        watcher.arg(self.dir.join("users")).arg(self.dir.join("data")).arg(self.dir.join("data/postmaster.pid"));
        watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        run_quietly(&mut watcher);
    }

    fn wait(&self) {
        let begun = Instant::now();
        while !self.answers() {
            if begun.elapsed() > START_TIMEOUT {
                let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                panic!("the server in `{}` does not answer:\n{log}", self.dir.display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(self.bin.join("pg_isready"));
        ready.args(["--quiet", "--username", ROLE, "--dbname", "postgres", "--host"]).arg(self.socket_dir());
        ready.status().is_ok_and(|status| status.success())
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("`{sql}` failed: {error}"))
    }

    fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", ROLE, "-d", database, "-h"])
            .arg(self.socket_dir());
        psql.env("PGOPTIONS", "--client-min-messages=warning").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = psql.stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let mut stdin = child.stdin.take().ok_or("no input")?;
        stdin.write_all(sql.as_bytes()).map_err(|error| error.to_string())?;
        drop(stdin);
        let out = child.wait_with_output().map_err(|error| error.to_string())?;
        match out.status.success() {
            true => Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }
}

/// Removes servers of tests that were killed.
fn sweep() {
    let prefix = format!("{PREFIX}own-{}-", uid());
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(&prefix) {
            continue;
        }
        let Ok(users) = File::open(entry.path().join("users")) else { continue };
        if users.try_lock().is_ok() {
            let pid = std::fs::read_to_string(entry.path().join("data/postmaster.pid")).unwrap_or_default();
            if let Some(pid) = pid.lines().next().and_then(|pid| pid.parse().ok()) {
                signal("CONT", pid);
                signal("QUIT", pid);
            }
            let _removed = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Debian's newest, or the one that is named.
fn bin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("PICLOUD_TEST_PG_BIN") {
        return dir.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/initdb")).exists())
        .max();
    let version = newest.expect("Postgres is needed for this test: install the Debian package `postgresql`");
    format!("/usr/lib/postgresql/{version}/bin").into()
}

fn temp_dir(name: &str) -> PathBuf {
    std::env::temp_dir().join(name)
}

/// Tells target directories apart.
fn target_hash() -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    env!("CARGO_TARGET_TMPDIR").bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn uid() -> u32 {
    std::fs::metadata("/proc/self").expect("/proc is there").uid()
}

fn children_of(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

/// With the shell's own kill: the program of that name is not on every machine.
fn signal(name: &str, pid: u32) {
    let mut shell = Command::new("sh");
    let _gone = shell.args(["-c", &format!("kill -s {name} {pid}")]).stderr(Stdio::null()).status();
}

fn run(command: &mut Command) {
    let out = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn run_quietly(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}");
}
