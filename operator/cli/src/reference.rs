//! docs/reference/cli.md, from the definition of the command line. Pure.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::Cli;

/// The whole page; the same for the same definition.
#[must_use]
pub fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = String::from(
        "<!-- Generated from operator/cli/src/cli.rs by `make generate`. Do not edit. -->\n# The program `alcazar`\n\n",
    );
    let _ = writeln!(text, "{}\n", about(&root));
    text.push_str(
        "As a file named `kubectl-alcazar` in the `PATH` it is also `kubectl alcazar`. It reads `KUBECONFIG` as kubectl does.\n\n\
         Exit status: 0; 1 when the cluster, a file or the system refused; 2 when the arguments must be others.\n",
    );
    describe(&root, "alcazar", &mut text);
    text
}

fn describe(command: &Command, path: &str, text: &mut String) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        if sub.get_subcommands().next().is_some() {
            describe(sub, &path, text);
            continue;
        }
        let positional: Vec<String> =
            sub.get_positionals().map(|arg| arg.get_id().as_str().to_uppercase().replace('_', "-")).collect();
        let _ =
            write!(text, "\n## `{} [options]`\n\n{}\n\n", [&[path][..], &positional].concat().join(" "), about(sub));
        text.push_str("| Argument | Meaning |\n|---|---|\n");
        for arg in sub.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            let _ = writeln!(text, "| {} | {} |", written(arg), meaning(arg));
        }
    }
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about());
    let text = about.map(ToString::to_string).unwrap_or_default();
    if text.ends_with('.') { text } else { format!("{text}.") }
}

fn written(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(<[_]>::first).filter(|_| arg.get_action().takes_values());
    match (arg.get_long(), value) {
        (None, _) => format!("`{}`", arg.get_id().as_str().to_uppercase()),
        (Some(long), value) => {
            let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
            let value = value.map(|value| format!(" {value}")).unwrap_or_default();
            format!("{short}`--{long}{value}`")
        }
    }
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if !text.ends_with('.') {
        text.push('.');
    }
    if arg.is_required_set() {
        text.push_str(" Required.");
    }
    let choices = arg.get_possible_values();
    if arg.get_action().takes_values() && !choices.is_empty() {
        let names: Vec<String> = choices.iter().map(|choice| format!("`{}`", choice.get_name())).collect();
        let _ = write!(text, " One of {}.", names.join(", "));
    }
    if let (true, [default]) = (arg.get_action().takes_values(), arg.get_default_values()) {
        let _ = write!(text, " Default: `{}`.", default.to_string_lossy());
    }
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_every_command_and_argument() {
        let page = page();
        for part in [
            "## `alcazar keys create NAME [options]`",
            "| `--owner OWNER` | Who uses it: a person or a program, 1 to 253 characters. Required. |",
            "| `-o`, `--output OUTPUT` | Form of what goes to standard output. One of `yaml`, `json`. Default: `yaml`. |",
            "## `alcazar vpn add NAME [options]`",
            "| `--no-qr` | Show no QR code. |",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }
}
