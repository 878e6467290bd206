//! What is told at each point of a process's life.

use super::*;

fn app(is_required: bool) -> App {
    let metrics = Arc::new(Metrics::new("m").expect("metrics"));
    App::new("m".to_owned(), metrics, Instant::now(), is_required)
}

fn phase(app: &App, phase: Phase) {
    app.with(|state| state.phase = phase);
}

#[test]
fn a_process_tells_why_it_is_not_ready() {
    let app = app(true);
    assert_eq!(app.status().reason, "Loading");
    app.starting(Unready::isolation_unproven(1, 3, &[]));
    assert_eq!((app.status().ready, app.status().reason.as_str()), (false, "IsolationUnproven"));
    phase(&app, Phase::Serving);
    assert_eq!((app.status().ready, app.status().reason.as_str()), (true, ""));
    app.drain();
    assert_eq!((app.status().ready, app.status().reason.as_str()), (false, "Draining"));
    app.starting(Unready::loading("too late"));
    assert!(app.is_draining(), "a drain is not taken back");
}

#[test]
fn a_broken_isolation_stops_serving_only_where_it_is_required() {
    for (is_required, reason) in [(true, "IsolationBroken"), (false, "")] {
        let app = app(is_required);
        phase(&app, Phase::Serving);
        app.isolation(0, vec!["1.1.1.1:443".to_owned()]);
        let status = app.status();
        assert_eq!((status.ready, status.reason.as_str()), (!is_required, reason));
        assert_eq!(status.isolation.expect("told").reached, ["1.1.1.1:443"]);
        app.isolation(1, vec![]);
        assert!(app.status().ready);
    }
}
