//! Secrets, from the host to the script, and nowhere else.

use crate::asked::{get_of, run_of};
use crate::client::{get, until};
use crate::fake_host::serve;
use picloud_model::Code;
use picloud_model::limits::Limits;
use picloud_model::protocol::RunRequest;
use std::time::Duration;

const VALUE: &str = "hunter2-hunter2";

pub(crate) async fn a_secret_reaches_the_script_it_is_granted_to_and_its_new_value_the_next_call() {
    let scripts = [
        ("teller", r#"secrets::get("token")"#),
        ("other", r#"try { secrets::get("token") } catch (error) { return error; }"#),
        ("missing", r#"try { secrets::get("nothing") } catch (error) { return error.code; }"#),
    ];
    let (host, supervisor, address) = serve(Limits::default(), &scripts).await;
    for value in ["first-value", "second-value"] {
        host.put_secret("token", value, "teller");
        assert_eq!(get(address, "/demo/teller").await.body, value);
    }
    let other = get(address, "/demo/other").await.json();
    assert_eq!(other["code"], "forbidden");
    let message = other["message"].as_str().unwrap();
    assert!(message.contains("picloud --app demo secrets grant token --script other"), "{message}");
    assert_eq!(get(address, "/demo/missing").await.body, "not-found");
    supervisor.stop().await;
}

pub(crate) async fn what_is_kept_of_a_run_and_its_problem_do_not_hold_the_secret() {
    let scripts = [
        ("logs", r#"let t = secrets::get("token"); log::info("with " + t, #{t: t}); t"#),
        ("throws", r#"let t = secrets::get("token"); throw http_error(418, "no tea for " + t)"#),
    ];
    let (host, supervisor, address) = serve(Limits::default(), &scripts).await;
    for (script, _) in scripts {
        host.put_secret("token", VALUE, script);
        let answer = get(address, &format!("/demo/{script}")).await;
        // Its own answer is the script's business.
        assert_eq!(answer.body.contains(VALUE), script == "logs", "{answer:?}");
    }
    let executions = until(&host.executions, |all| all.len() == 2).await;
    let kept = serde_json::to_string(&executions).unwrap();
    assert!(!kept.contains(VALUE) && kept.matches("[redacted]").count() >= 3, "{kept}");
    assert!(executions.iter().all(|execution| execution.usage.secret_calls == 1));
    assert_eq!(executions.iter().find_map(|execution| execution.error()).unwrap().detail, "no tea for [redacted]");

    let (source, cause) = (Some(scripts[1].1.to_owned()), format!("run GET /x/{VALUE}"));
    let run = RunRequest { source, cause, ..run_of("throws", get_of(&format!("/x/{VALUE}"))) };
    let draft = supervisor.run(run, Duration::from_secs(20)).await.unwrap();
    let problem = draft.execution.error().unwrap();
    assert_eq!((draft.status, problem.code, problem.at.unwrap().line), (418, Code::ScriptError, 1));
    assert!(!String::from_utf8(draft.body).unwrap().contains(VALUE));
    assert_eq!(draft.execution.cause, "run GET /x/[redacted]");
    let input = draft.execution.input_json;
    assert!(input.contains("/x/[redacted]") && !input.contains(VALUE), "{input}");
    supervisor.stop().await;
}
