//! The clinic's people, as records name them; what they do; when they work.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a person of the clinic signs in with, and how records name them for ever: 2 to 32 of `a-z`, `0-9`, `.`, `_`
/// and `-`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StaffName(String);

/// What other authors and actors are called: no person may be.
const RESERVED: [&str; 7] = ["system", "patient", "caller", "gateway", "staff", "nobody", "automation"];

/// Why a name cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaffNameError {
    /// Its letters.
    #[error(
        "a sign-in name is 2 to 32 of a-z, 0-9, “.”, “_” and “-” and begins with a letter; write one such as \"ana\""
    )]
    Letters,
    /// It means somebody else.
    #[error("“{0}” is what records call somebody else; choose another name")]
    Reserved(String),
}

impl StaffName {
    /// Reads a name; capitals count as small letters.
    pub fn parse(text: &str) -> Result<Self, StaffNameError> {
        let name = text.trim().to_ascii_lowercase();
        let fits = (2..=32).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b));
        if !fits {
            return Err(StaffNameError::Letters);
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(StaffNameError::Reserved(name));
        }
        Ok(StaffName(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StaffName {
    type Err = StaffNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        StaffName::parse(text)
    }
}

impl TryFrom<String> for StaffName {
    type Error = StaffNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        StaffName::parse(&text)
    }
}

impl From<StaffName> for String {
    fn from(name: StaffName) -> String {
        name.0
    }
}

impl fmt::Display for StaffName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StaffName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person does at the clinic; [`crate::conversation::permission`] says what each may see and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works the queue.
    FrontDesk,
    /// Nurses, therapists, doctors: what is escalated comes to them.
    Clinical,
    /// Sees to it that the queue is worked.
    Manager,
    /// Edits the clinic's files and its people.
    Admin,
    /// Reads what was done, and changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::FrontDesk, Role::Clinical, Role::Manager, Role::Admin, Role::Auditor];

    /// As files and forms write it: `front_desk`.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::FrontDesk => "front_desk",
            Role::Clinical => "clinical",
            Role::Manager => "manager",
            Role::Admin => "admin",
            Role::Auditor => "auditor",
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| RoleError(text.to_owned()))
    }
}

/// There is no such role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is no role; write front_desk, clinical, manager, admin or auditor")]
pub struct RoleError(String);

/// The roles of one person: at least one. Written with commas between them: `front_desk,admin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// Several roles; none if there are none.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Option<Roles> {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        (!roles.is_empty()).then_some(Roles(roles))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }

    /// Whether `role` is one of them.
    pub fn contains(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Roles {
        Roles(BTreeSet::from([role]))
    }
}

impl FromStr for Roles {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let roles = text.split(',').map(|role| role.trim().parse()).collect::<Result<BTreeSet<Role>, _>>()?;
        Ok(Roles(roles))
    }
}

impl TryFrom<String> for Roles {
    type Error = RoleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Roles> for String {
    fn from(roles: Roles) -> String {
        roles.to_string()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Role::as_str).collect::<Vec<_>>().join(","))
    }
}

/// When somebody works, as they write it: `{ days = "mon-thu", from = "08:00", to = "12:00" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// `mon-thu`, `fri`, `mon,wed`
    pub days: String,
    /// `08:00`
    pub from: String,
    /// `12:00`, later than `from`
    pub to: String,
}

/// What is known of somebody's presence at work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attendance {
    /// On leave until then.
    pub away_until: Option<Timestamp>,
    /// Their hours; none: whenever the clinic is open.
    pub shifts: Vec<Shift>,
    /// They may not sign in any more.
    pub disabled: bool,
    /// When they last did something on a page here; none: they are signed in nowhere.
    pub seen_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_mean_one_person() {
        assert_eq!(StaffName::parse(" Ana.Lopez ").unwrap().as_str(), "ana.lopez");
        for bad in ["", "a", "1a", "an a", "ana:x", "añа", &"a".repeat(33)] {
            assert_eq!(StaffName::parse(bad), Err(StaffNameError::Letters), "{bad}");
        }
        assert!(matches!(StaffName::parse("System"), Err(StaffNameError::Reserved(_))));
    }

    #[test]
    fn roles_read_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        let both: Roles = "front_desk, admin".parse().unwrap();
        assert_eq!(both.to_string(), "front_desk,admin");
        assert!("".parse::<Roles>().is_err() && "boss".parse::<Roles>().is_err());
    }
}
