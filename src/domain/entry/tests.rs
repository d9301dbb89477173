//! Codes are frozen: tables hold them.

use super::*;

#[test]
fn codes_are_places_in_the_list_and_read_back() {
    for (code, kind) in (0..).zip(EntryKind::ALL) {
        assert_eq!((kind.code(), EntryKind::from_code(code)), (code, Some(kind)));
    }
    assert_eq!(EntryKind::from_code(12), None);
    assert_eq!(EntryKind::from_code(-1), None);
}

#[test]
fn the_meaning_of_a_code_is_frozen() {
    let words = EntryKind::ALL.map(|kind| format!("{kind:?}")).join(" ");
    let frozen = "Reserved Processed Failed Expired Cancelled Updated Trashed Restored Deleted Purged \
                  QuotaChanged StateChanged";
    assert_eq!(words, frozen);
}
