//! A panic is told by its place. Its text could hold what the program was given: an index into a prompt, a key that did
//! not parse.

use std::{
    io::{self, Write as _},
    panic::{self, PanicHookInfo},
    thread,
};

/// From now on a panic writes one JSON line to standard error, without the panic's text. Call it first in `main`.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        // Without a reader there is nobody to tell.
        let _ = io::stderr().lock().write_all(line(info).as_bytes());
    }));
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|place| format!("{}:{}:{}", place.file(), place.line(), place.column()));
    let line = serde_json::json!({
        "level": "ERROR",
        "message": "a panic: a fault of the program; its text is kept back, since it could hold what somebody sent",
        "place": place,
        "thread": thread::current().name(),
    });
    format!("{line}\n")
}
