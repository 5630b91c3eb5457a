//! The store as a whole: group commit, a full disk, a locked database, what the next start says.

use super::*;

/// A database in memory with today's schema.
pub(crate) fn in_memory() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    conn.pragma_update(None, "foreign_keys", "on").unwrap();
    migrations::migrate(&mut conn, Path::new(":memory:")).unwrap();
    conn
}
