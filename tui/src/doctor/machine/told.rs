//! A machine as a file of tests tells it, with what its appliance answers.
//!
//! A file is sections: `=== /path` a file's text, `=== link /path` where a link leads, `=== dir /path` a folder that is
//! there, `=== $ program arguments` what that prints, `=== space /path` four numbers, `=== person`, `=== card`,
//! `=== dns`, `=== lan`, and `=== GET name` what the appliance answers. What comes before the first says what it is.

use super::{CardSpeed, Heard, Lan, Machine, NotRun, Person, Space};
use crate::doctor::asked::{Asked, Certificate, Silence, unlabelled};
use picloud_model::page::Page;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What a file tells.
pub(crate) struct Told {
    /// What kind of machine it is.
    pub(crate) about: String,
    sections: BTreeMap<String, String>,
}

impl Told {
    /// Reads a file.
    pub(crate) fn read(text: &str) -> Self {
        let (about, rest) = text.split_once("\n=== ").unwrap();
        let sections = rest.split("\n=== ").map(|section| {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            (head.to_owned(), body.to_owned())
        });
        Self { about: about.trim_start_matches("# ").to_owned(), sections: sections.collect() }
    }

    fn section(&self, name: &str) -> Option<&str> {
        self.sections.get(name).map(String::as_str)
    }

    /// `name: value`, `name value` or `name = value` of a section.
    fn value(&self, section: &str, name: &str) -> Option<&str> {
        self.section(section)?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
    }

    fn numbers(&self, section: &str) -> Option<Vec<f64>> {
        Some(self.section(section)?.split_whitespace().map(|number| number.parse().unwrap()).collect())
    }

    /// What the appliance answers.
    pub(crate) fn asked(&self) -> Asked {
        let silent = || "the appliance did not answer".to_owned();
        let json = |name: &str| self.section(name).map(str::to_owned);
        let status = match json("GET status") {
            Some(text) => Ok(serde_json::from_str(&text).unwrap()),
            None => Err(Silence {
                text: self
                    .value("silence", "text")
                    .unwrap_or("no appliance is running: /run/picloud/admin.sock does not exist")
                    .to_owned(),
                hint: self.value("silence", "hint").unwrap_or("start one").to_owned(),
                is_refused: self.value("silence", "refused").is_some(),
            }),
        };
        let certificate = |line: &str| {
            let (subject, ends) = line.rsplit_once(' ').unwrap();
            let ends_at = ends.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            Certificate { subject: subject.to_owned(), begins_at: 0, ends_at }
        };
        Asked {
            place: self.value("asked", "place").unwrap_or("/run/picloud/admin.sock").to_owned(),
            is_here: self.value("asked", "place").is_none(),
            status,
            nodes: json("GET nodes")
                .map(|text| serde_json::from_str::<Page<_>>(&text).unwrap().items)
                .ok_or_else(silent),
            backups: json("GET backup").map(|text| serde_json::from_str(&text).unwrap()),
            metrics: json("GET metrics").map(|text| unlabelled(&text)).ok_or_else(silent),
            ahead_ms: self.value("asked", "ahead_ms").map(|ms| ms.parse().unwrap()),
            certificates: match self.section("certificates") {
                Some(text) => Ok(text.lines().filter(|line| !line.is_empty()).map(certificate).collect()),
                None => Err(silent()),
            },
        }
    }
}

impl Machine for Told {
    fn read(&self, path: &str) -> Option<String> {
        self.section(path).map(str::to_owned)
    }

    fn names(&self, path: &str) -> Vec<String> {
        let folder = format!("{path}/");
        let paths = self.sections.keys().map(|key| key.strip_prefix("link ").unwrap_or(key));
        let names = paths.filter_map(|key| key.strip_prefix(&folder)?.split('/').next().map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        names
    }

    fn link(&self, path: &str) -> Option<String> {
        self.section(&format!("link {path}")).map(|to| to.trim().to_owned())
    }

    fn has(&self, path: &str) -> bool {
        let is_it = |key: &str| key == path || key.starts_with(&format!("{path}/"));
        self.sections.keys().any(|key| is_it(key.strip_prefix("dir ").or(key.strip_prefix("link ")).unwrap_or(key)))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, NotRun> {
        let command = [&["$", program], arguments].concat().join(" ");
        let found = self.sections.iter().find(|(key, _)| key.starts_with("$ ") && command.starts_with(key.as_str()));
        match found {
            Some((_, text)) if text.starts_with("fails: ") => {
                Err(NotRun::Failed(text["fails: ".len()..].trim().to_owned()))
            }
            Some((_, text)) => Ok(text.clone()),
            None => Err(NotRun::Missing),
        }
    }

    fn space(&self, path: &str) -> Option<Space> {
        let numbers = self.numbers(&format!("space {path}"))?;
        let [bytes, free_bytes, files, free_files] =
            numbers.iter().map(|n| *n as u64).collect::<Vec<_>>().try_into().unwrap();
        Some(Space { bytes, free_bytes, files, free_files })
    }

    fn person(&self) -> Person {
        let groups = self.value("person", "groups").unwrap_or("picloud");
        let name = self.value("person", "name").unwrap_or("ada").to_owned();
        Person { is_root: name == "root", name, groups: groups.split(' ').map(str::to_owned).collect() }
    }

    fn card_speed(&self, _folder: &str) -> Result<CardSpeed, String> {
        if let Some(why) = self.value("card", "error") {
            return Err(why.to_owned());
        }
        let of = |name: &str| self.value("card", name).map_or(1e9, |value| value.parse().unwrap());
        Ok(CardSpeed {
            written_bytes: super::WRITTEN_BYTES_MAX,
            write_per_s: of("write"),
            read_per_s: of("read"),
            synced_writes_per_s: of("synced"),
            is_direct: true,
            is_same: self.value("card", "differs").is_none(),
        })
    }

    fn resolve(&self, _name: &str) -> Result<Vec<IpAddr>, String> {
        match self.value("dns", "error") {
            Some(why) => Err(why.to_owned()),
            None => Ok(vec![IpAddr::from([192, 0, 2, 1])]),
        }
    }

    fn listen(&self, _host: &str, _patience: Duration) -> Result<Lan, String> {
        let addresses = |name: &str| {
            let all = self.value("lan", name).unwrap_or("192.168.1.10");
            all.split(' ').filter(|one| *one != "none").map(|one| one.parse().unwrap()).collect::<Vec<IpAddr>>()
        };
        let lines = self.section("lan").unwrap_or_default().lines();
        let appliances = lines.filter_map(|line| {
            let mut words = line.strip_prefix("appliance: ")?.splitn(3, ' ');
            let mut word = || words.next().map(str::to_owned);
            Some(Heard { name: word()?, ca: word()?, port: 8443, setup: word() })
        });
        Ok(Lan { appliances: appliances.collect(), host_addresses: addresses("host"), own_addresses: addresses("own") })
    }
}
