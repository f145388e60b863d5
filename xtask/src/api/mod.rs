//! The admin API as its OpenAPI document describes it, tried by a generator of requests: no 5xx, and no answer that
//! the document does not know.
//!
//! The appliance is the real one, on HTTPS with its own CA and a key; `appliance.rs` starts and fills it.

mod appliance;

use crate::{cross, packages};
use anyhow::{Context, Result, bail, ensure};
use appliance::Appliance;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pinned, so that what is tried does not change under us.
const SCHEMATHESIS_VERSION: &str = "4.32.5";
/// What is checked of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method";
/// Of each operation, beside what its schema's edges give.
const CASES_PER_OPERATION: u32 = 25;
/// The whole run; phases that repeat end here.
const SECONDS_MAX: u32 = 100;
/// One request.
const REQUEST_SECONDS_MAX: u32 = 30;

/// What would take the ground from under everything after it: the generator's own key, and the apps.
const LEFT_OUT: &[&str] = &["DELETE /api/v1/keys/{id}", "DELETE /api/v1/apps/{app}"];

/// Makes the environment that the generator lives in, where it is missing.
pub(crate) fn install(root: &Path) -> Result<()> {
    let (home, program) = places(root);
    let program = program.to_string_lossy().into_owned();
    if packages::runs(&program, &["--version"]) {
        println!("   schemathesis is installed");
        return Ok(());
    }
    println!("   schemathesis is missing: installing version {SCHEMATHESIS_VERSION} into {}", home.display());
    let home = home.to_string_lossy().into_owned();
    ensure!(
        packages::runs("python3", &["-m", "venv", "--clear", &home]),
        "`python3 -m venv` failed: install Python 3 with its venv module"
    );
    let wanted = format!("schemathesis=={SCHEMATHESIS_VERSION}");
    let status = Command::new(format!("{home}/bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", &wanted])
        .stdin(Stdio::null())
        .status()
        .context("start pip")?;
    ensure!(status.success() && packages::runs(&program, &["--version"]), "`pip install {wanted}` failed");
    Ok(())
}

/// Where it is, and the program in it.
fn places(root: &Path) -> (PathBuf, PathBuf) {
    let home = root.join(format!("target/schemathesis-{SCHEMATHESIS_VERSION}"));
    let program = home.join("bin/schemathesis");
    (home, program)
}

/// Starts an appliance and tries its API.
pub(crate) fn run(root: &Path) -> Result<()> {
    let folder = root.join("target/api-fuzzing");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("empty `{}`", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("make `{}`", folder.display()))?;
    let programs = cross::as_tests(root)?;
    let mut appliance = Appliance::start(&programs, &folder)?;
    let known = appliance.fill()?;
    let settings = folder.join("schemathesis.toml");
    fs::write(&settings, known.settings()).context("write the generator's settings")?;
    let mut generator = Command::new(places(root).1);
    generator
        .arg("--config-file")
        .arg(&settings)
        .arg("run")
        .arg(format!("{}/api/v1/openapi.json", appliance.url))
        .arg("--tls-verify")
        .arg(folder.join("data/keys/ca.crt"))
        .args(["--header", &format!("Authorization: Bearer {}", known.key)])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--seed", "1"])
        // An endless stream is no answer that could be looked at.
        .args(["--exclude-path-regex", "/(activity|watch|logs|topics|backup/copies)$"])
        .args(["--max-examples", &CASES_PER_OPERATION.to_string(), "--max-time", &SECONDS_MAX.to_string()])
        .args([
            "--request-timeout",
            &REQUEST_SECONDS_MAX.to_string(),
            "--continue-on-failure",
            "--warnings",
            "missing_auth,missing_test_data",
        ])
        // It keeps a data base of examples where it is started.
        .current_dir(&folder)
        .stdin(Stdio::null());
    for operation in LEFT_OUT {
        generator.args(["--exclude-name", operation]);
    }
    let status = generator.status().context("start schemathesis")?;
    appliance.check_alive()?;
    appliance.check_key(&known)?;
    if !status.success() {
        bail!(
            "the API does not do what its document says: above stand what was found and the curl line for each; \
             `Authorization` is a key of that appliance, whose log is {}",
            folder.join("appliance.log").display()
        );
    }
    Ok(())
}
