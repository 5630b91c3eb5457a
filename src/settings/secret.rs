//! Secrets: from a file or the environment, never from the TOML's own text.

use std::path::{Path, PathBuf};

use crate::model::Private;
use crate::model::toml_file::Value;

/// Where secrets are looked for.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of threadline.toml, which file names are relative to.
    pub folder: PathBuf,
    /// systemd's `$CREDENTIALS_DIRECTORY` (`LoadCredential=`), which comes first.
    pub credentials: Option<PathBuf>,
    /// Reads an environment variable.
    pub environment: fn(&str) -> Option<String>,
}

impl Places {
    /// As the process finds them.
    pub fn of_process(folder: &Path) -> Places {
        Places {
            folder: folder.to_owned(),
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            environment: |name| std::env::var(name).ok(),
        }
    }

    /// Reads `{ file = "…" }` or `{ env = "…" }`.
    pub fn read(&self, value: &Value<'_>) -> Option<Private<String>> {
        const CURE: &str = "write { file = \"NAME\" } or { env = \"NAME\" }";
        if value.is_string() {
            // The report shows the line, and the line shows the secret: point at the key and leave the line out.
            value.reader().secret_in_clear(value.key_span(), value.key(), CURE);
            return None;
        }
        let table = value.table()?;
        let file = table.get("file");
        let env = table.get("env");
        table.finish();
        let found = match (file, env) {
            (Some(file), None) => self.read_file(&file),
            (None, Some(env)) => self.read_environment(&env),
            (None, None) | (Some(_), Some(_)) => {
                value.error(format!("`{}` must say one place", value.key()), CURE);
                None
            }
        };
        found.map(Private::new)
    }

    fn read_file(&self, value: &Value<'_>) -> Option<String> {
        let name = value.words()?;
        let credential = self.credentials.as_ref().map(|folder| folder.join(name)).filter(|path| path.is_file());
        let path = credential.unwrap_or_else(|| self.folder.join(name));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("the secret's file {} cannot be read: {error}", path.display());
                value.error(message, "create it, readable by the daemon's user alone, or name it in LoadCredential=");
                return None;
            }
        };
        self.not_blank(value, text.trim_end_matches(['\r', '\n']))
    }

    fn read_environment(&self, value: &Value<'_>) -> Option<String> {
        let name = value.words()?;
        let Some(text) = (self.environment)(name) else {
            value.error(format!("the environment has no {name}"), format!("set {name} where the daemon starts"));
            return None;
        };
        self.not_blank(value, &text)
    }

    fn not_blank(&self, value: &Value<'_>, text: &str) -> Option<String> {
        if text.trim().is_empty() {
            value.error("the secret is empty", "put the secret there");
            return None;
        }
        Some(text.to_owned())
    }
}
