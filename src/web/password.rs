//! Passwords: argon2id (RFC 9106) with 19 MiB, two passes, one lane (OWASP, "Password storage cheat sheet"), computed
//! off the runtime's threads and a few at once.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use super::door::Door;
use super::problem::Problem;
use crate::model::Private;

/// Compared with when a name is nobody's, so that it takes as long. No password is known that gives it.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password's PHC string.
pub async fn hash(door: &Door, password: Private<String>) -> Result<String, Problem> {
    compute(door, move || hash_blocking(password.expose())).await?.ok_or(Problem::Broken("a password cannot be hashed"))
}

/// Whether `password` is the one of `hash`. Without a hash it takes as long, and is none.
pub async fn verify(door: &Door, password: Private<String>, hash: Option<Private<String>>) -> Result<bool, Problem> {
    compute(door, move || {
        let kept = hash.as_ref().map_or(NOBODYS, |hash| hash.expose());
        let verifies =
            |kept: PasswordHash| Argon2::default().verify_password(password.expose().as_bytes(), &kept).is_ok();
        let right = PasswordHash::new(kept).is_ok_and(verifies);
        right && hash.is_some()
    })
    .await
}

/// [`hash`] for the command line.
pub fn hash_blocking(password: &str) -> Option<String> {
    // The crate's defaults are OWASP's parameters; a test holds them to it.
    Argon2::default().hash_password(password.as_bytes()).ok().map(|hash| hash.to_string())
}

async fn compute<T: Send + 'static>(door: &Door, f: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let failed = Problem::Broken("a password cannot be computed");
    let Ok(_permit) = door.hashing.acquire().await else { return Err(failed) };
    tokio::task::spawn_blocking(f).await.map_err(|_| failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_are_kept_as_owasp_advises() {
        let door = Door::default();
        let kept = hash(&door, "blue kettle on a tram".to_owned().into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        let verify = |password: &str, hash: Option<String>| {
            let (password, hash) = (Private::new(password.to_owned()), hash.map(Private::new));
            let door = &door;
            async move { super::verify(door, password, hash).await.unwrap() }
        };
        assert!(verify("blue kettle on a tram", Some(kept.clone())).await);
        assert!(!verify("blue kettle on a train", Some(kept)).await);
        assert!(!verify("blue kettle on a tram", None).await);
        assert!(PasswordHash::new(NOBODYS).is_ok());
    }
}
