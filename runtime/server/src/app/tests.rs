//! What is told at each point of a process's life.

use alcazar_contract::isolation::TargetKind;

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
    assert_eq!((app.status().ready, app.status().reason.as_str()), (false, "IsolationUnproven"));
    app.isolation(3, vec![], vec![]);
    assert_eq!((app.status().ready, app.status().reason.as_str()), (true, ""));
    app.drain();
    assert_eq!((app.status().ready, app.status().reason.as_str()), (false, "Draining"));
    app.starting(Unready::loading("too late"));
    assert!(app.is_draining(), "a drain is not taken back");
}

#[test]
fn a_broken_isolation_stops_serving_only_where_it_is_required() {
    for (is_required, reason) in [(true, "IsolationBroken"), (false, "")] {
        let (app, reached) = (app(is_required), vec![Target::tcp(TargetKind::Public, "1.1.1.1:443")]);
        phase(&app, Phase::Serving);
        app.isolation(0, reached.clone(), reached.clone());
        let status = app.status();
        assert_eq!((status.ready, status.reason.as_str()), (!is_required, reason));
        assert_eq!(status.isolation.expect("told").reached, reached);
        app.isolation(WANTED_ROUNDS - 1, vec![], reached.clone());
        assert_eq!(app.status().ready, !is_required, "what broke has to be proven again");
        app.isolation(WANTED_ROUNDS, vec![], reached);
        assert!(app.status().ready);
    }
}
