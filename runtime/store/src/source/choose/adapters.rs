//! Adapters in a repository: `adapters/NAME/` with its settings and its matrices.

use alcazar_formats::adapter::{CONFIG, FOLDER, WEIGHTS};

use crate::error::FetchError;

/// Whether a file belongs to an adapter.
pub(super) fn is_within(name: &str) -> bool {
    name.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'))
}

/// Refuses a repository that is an adapter itself. `names`: all its files but those within.
pub(super) fn refuse_alone(names: &[&str]) -> Result<(), FetchError> {
    let is_other = |name: &&&str| !name.contains('/') && name.ends_with(".safetensors") && **name != WEIGHTS;
    if names.contains(&CONFIG) && names.contains(&WEIGHTS) && !names.iter().any(|name| is_other(&name)) {
        let fault = format!("the repository holds an adapter alone; fetch its base with it in {FOLDER}/NAME/");
        return Err(FetchError::UnsupportedModel { fault });
    }
    Ok(())
}

/// Settings and matrices of each adapter. `names`: those of the files within.
pub(super) fn choose(names: &[&str]) -> Result<Vec<String>, FetchError> {
    let mut chosen = Vec::new();
    for settings in names {
        let Some(folder) = settings.strip_suffix(CONFIG).filter(|folder| folder.split('/').count() == 3) else {
            continue;
        };
        let matrices = format!("{folder}{WEIGHTS}");
        if !names.contains(&matrices.as_str()) {
            return Err(FetchError::UnsupportedModel {
                fault: format!(
                    "'{settings}' has no {WEIGHTS} beside it; load the adapter with PEFT and save it by save_pretrained"
                ),
            });
        }
        chosen.extend([(*settings).to_owned(), matrices]);
    }
    Ok(chosen)
}
