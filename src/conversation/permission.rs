//! What each role may see and do: one table.

use crate::model::{Role, Roles};

/// Something that a person of the clinic can do or see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Read the queue, threads, notes and calls, and search them.
    ReadThreads,
    /// Answer, write first, note, take, assign, tag, snooze, follow up, close and reopen threads; name people.
    WorkThreads,
    /// Opt a number out, record consent that was given at the desk, merge threads.
    ChangeConsent,
    /// See presence, what waits, the calls in progress and today's numbers.
    SeeDay,
    /// Answer callers who wait out of their turn, offer them a text, call patients from their threads, call off and hurry
    /// call backs.
    HandleCalls,
    /// Hear voice messages, and say whose they are.
    HearMessages,
    /// Delete voice messages.
    DeleteMessages,
    /// Hear recorded calls.
    HearRecordings,
    /// Send somebody else's threads back to the queue, set others away.
    ManageDesk,
    /// See the phone tree as a picture, hear its prompts, and read why a call went where it went.
    SeeTree,
    /// Edit, try and publish the clinic's files, templates and prompts.
    EditFiles,
    /// See gateways and trunks, and test them.
    SeeSystem,
    /// Add people, change their roles, end their sessions.
    ManagePeople,
    /// Read and export the audit chain.
    ReadAudit,
}

impl Act {
    /// All of them.
    pub const ALL: [Act; 14] = [
        Act::ReadThreads,
        Act::WorkThreads,
        Act::ChangeConsent,
        Act::SeeDay,
        Act::HandleCalls,
        Act::HearMessages,
        Act::DeleteMessages,
        Act::HearRecordings,
        Act::ManageDesk,
        Act::SeeTree,
        Act::EditFiles,
        Act::SeeSystem,
        Act::ManagePeople,
        Act::ReadAudit,
    ];
}

/// Whether `role` may do `act`: the minimum that each needs for their work (45 CFR 164.502(b)).
///
/// | | front desk | clinical | manager | admin | auditor |
/// | --- | --- | --- | --- | --- | --- |
/// | read threads | yes | yes | yes | | yes |
/// | work threads | yes | yes | yes | | |
/// | change consent | yes | yes | yes | | |
/// | see the day | yes | yes | yes | yes | |
/// | handle calls | yes | yes | yes | | |
/// | hear messages | yes | yes | yes | | |
/// | delete messages | | | yes | | |
/// | hear recordings | | yes | yes | | |
/// | manage the desk | | | yes | | |
/// | see the tree | yes | yes | yes | yes | yes |
/// | edit files | | | | yes | |
/// | see the system | | | yes | yes | |
/// | manage people | | | | yes | |
/// | read the audit | | | yes | yes | yes |
///
/// An admin keeps the box running and needs no patient's words for it. A person with several roles may do what any of
/// them may ([`may`]).
pub fn role_may(role: Role, act: Act) -> bool {
    use Act::*;
    use Role::*;
    match act {
        ReadThreads => matches!(role, FrontDesk | Clinical | Manager | Auditor),
        WorkThreads | ChangeConsent | HandleCalls | HearMessages => matches!(role, FrontDesk | Clinical | Manager),
        SeeDay => matches!(role, FrontDesk | Clinical | Manager | Admin),
        HearRecordings => matches!(role, Clinical | Manager),
        ManageDesk | DeleteMessages => matches!(role, Manager),
        SeeTree => true,
        EditFiles | ManagePeople => matches!(role, Admin),
        SeeSystem => matches!(role, Manager | Admin),
        ReadAudit => matches!(role, Manager | Admin | Auditor),
    }
}

/// Whether somebody with these roles may do `act`.
pub fn may(roles: &Roles, act: Act) -> bool {
    roles.iter().any(|role| role_may(role, act))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_the_record_changes_nothing() {
        for act in Act::ALL {
            let reads = matches!(act, Act::ReadThreads | Act::SeeTree | Act::ReadAudit);
            assert_eq!(role_may(Role::Auditor, act), reads, "{act:?}");
        }
    }

    #[test]
    fn who_runs_the_box_reads_no_thread() {
        assert!(!role_may(Role::Admin, Act::ReadThreads) && !role_may(Role::Admin, Act::WorkThreads));
    }

    #[test]
    fn several_roles_add_up() {
        let both: Roles = "admin,front_desk".parse().unwrap();
        assert!(may(&both, Act::ManagePeople) && may(&both, Act::WorkThreads) && !may(&both, Act::ManageDesk));
    }

    #[test]
    fn every_act_is_somebodys() {
        for act in Act::ALL {
            assert!(Role::ALL.into_iter().any(|role| role_may(role, act)), "{act:?}");
        }
    }
}
