//! The whole table: who, what, whose, in which state.

use super::*;
use uuid::Uuid;

const ACTIONS: [Action; 6] = [
    Action::ReadOwn,
    Action::DeleteOwn,
    Action::ChangeOwn,
    Action::MoveBytes,
    Action::ReadAdmin,
    Action::ChangeAdmin,
];

/// A letter an action: `+` yes, `a` needs an admin, `s` suspended, `.` not theirs.
fn check(role: Role, owns: bool, state: AccountState, expected: &str) {
    let user = |n| UserId::from_uuid(Uuid::from_u128(n));
    let caller = Caller { user: user(1), subject: "somebody".to_owned(), role };
    let owner = user(if owns { 1 } else { 2 });
    let found: String = ACTIONS
        .iter()
        .map(|action| match decide(&caller, *action, owner, state) {
            Ok(()) => '+',
            Err(Denied::AdminRequired) => 'a',
            Err(Denied::Suspended) => 's',
            Err(Denied::NotTheirs) => '.',
        })
        .collect();
    assert_eq!(found, expected, "{role:?}, owns {owns}, {state:?}");
}

#[test]
fn who_may_do_what() {
    check(Role::User, true, AccountState::Active, "++++aa");
    check(Role::User, false, AccountState::Active, "....aa");
    check(Role::Support, true, AccountState::Active, "+++++a");
    check(Role::Support, false, AccountState::Active, "....+a");
    check(Role::Admin, true, AccountState::Active, "++++++");
    check(Role::Admin, false, AccountState::Active, "....++");
}

#[test]
fn a_suspended_account_reads_and_deletes_and_does_nothing_else() {
    check(Role::User, true, AccountState::Suspended, "++ssaa");
    check(Role::User, false, AccountState::Suspended, "....aa");
    check(Role::Admin, true, AccountState::Suspended, "++ss++");
}

#[test]
fn roles_are_words_to_the_letter() {
    assert_eq!(Role::parse("user"), Some(Role::User));
    assert_eq!(Role::parse("support"), Some(Role::Support));
    assert_eq!(Role::parse("admin"), Some(Role::Admin));
    for no_role in ["", "Admin", "root", "admin ", "users"] {
        assert_eq!(Role::parse(no_role), None, "{no_role:?}");
    }
}
