//! The way back: a version with the modules and routes it was live with.

use crate::world::World;

#[test]
fn a_rollback_brings_back_what_the_version_was_live_with() {
    let world = World::quickstart();
    let before = world.answer("/quickstart/weather?celsius=20");
    world.edit("app.toml", "path = \"/weather\"", "path = \"/climate\"");
    world.write("modules/units.rhai", "fn fahrenheit(c) { 451.0 }\nfn feeling(c) { \"hot\" }\n");
    world.edit("scripts/weather.rhai", "#{\n", "#{\n    later: true,\n");
    world.ok(&["deploy"]);
    assert!(world.answer("/quickstart/climate?celsius=20").contains("451.0"));
    assert_eq!(world.get("/quickstart/weather").0, 404);

    let diff = world.ok(&["scripts", "diff", "weather"]);
    for part in ["+    later: true,", "units", "/weather", "/climate"] {
        assert!(diff.contains(part), "{part}: {diff}");
    }
    let revision = world.revision();
    let plan = world.ok(&["scripts", "rollback", "weather", "1", "--plan"]);
    assert!(plan.contains("nothing was changed") && plan.contains("units") && plan.contains("/weather"), "{plan}");
    assert_eq!(world.revision(), revision);

    let said = world.ok(&["scripts", "rollback", "weather", "1", "-m", "too hot"]);
    assert!(said.starts_with("weather is as it was at version 1, as version 3\n"), "{said}");
    assert_eq!(world.answer("/quickstart/weather?celsius=20"), before);
    assert_eq!(world.get("/quickstart/climate").0, 404);
    let versions = world.json(&["scripts", "versions", "weather"]);
    assert_eq!(versions["items"][0]["message"], "too hot");
    let again = world.ok(&["scripts", "rollback", "weather", "1", "--plan"]);
    assert!(again.contains("would change nothing"), "{again}");
}

#[test]
fn only_the_script_goes_back_where_that_is_asked_for() {
    let world = World::quickstart();
    world.write("modules/units.rhai", "fn fahrenheit(c) { 451.0 }\nfn feeling(c) { \"hot\" }\n");
    world.edit("scripts/weather.rhai", "#{\n", "#{\n    later: true,\n");
    world.ok(&["deploy"]);
    world.ok(&["scripts", "rollback", "weather", "1", "--only-script"]);
    let answer = world.answer("/quickstart/weather?celsius=20");
    assert!(answer.contains("451.0") && !answer.contains("later"), "{answer}");
}

#[test]
fn a_rollback_to_what_its_env_is_gone_is_refused_unless_it_is_forced() {
    let world = World::quickstart();
    world.write("scripts/weather.rhai", "\"no city\"\n");
    world.edit("app.toml", "city = \"Berlin\"", "");
    world.ok(&["deploy"]);
    let said = world.fails(4, &["scripts", "rollback", "weather", "1"]);
    assert!(said.contains("city") && said.contains("force"), "{said}");
    assert_eq!(world.answer("/quickstart/weather"), "no city");
    world.ok(&["scripts", "rollback", "weather", "1", "--force"]);
    assert_eq!(world.json(&["scripts", "get", "weather"])["version"], 3);
}
