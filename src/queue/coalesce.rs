//! Which events of a claim run as one. Pure.

/// Cuts a claim into runs, by their lengths: events back to back with the same
/// name run as one, every other event by itself. Nothing is moved past anything.
pub(super) fn runs<N: PartialEq>(names: &[Option<N>]) -> Vec<usize> {
    names
        .chunk_by(|earlier, later| earlier.is_some() && earlier == later)
        .map(<[_]>::len)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::runs;
    use proptest::prelude::*;

    #[test]
    fn a_stranger_in_between_ends_a_run() {
        let names = [Some(1), Some(1), None, Some(1), Some(2), Some(2), None, None];
        assert_eq!(runs(&names), [2, 1, 1, 2, 1, 1]);
        assert_eq!(runs::<u8>(&[]), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn runs_cover_the_claim_in_order_are_of_one_name_and_as_long_as_can_be(
            names in prop::collection::vec(prop::option::of(0u8..3), 0..40)
        ) {
            let lengths = runs(&names);
            prop_assert_eq!(lengths.iter().sum::<usize>(), names.len());
            let mut rest = names.as_slice();
            let mut before: Option<u8> = None;
            for length in lengths {
                let (run, tail) = rest.split_at(length);
                prop_assert!(length == 1 || run.iter().all(|name| name.is_some() && *name == run[0]));
                prop_assert!(run[0].is_none() || run[0] != before, "two runs that could have been one");
                before = run[length - 1];
                rest = tail;
            }
        }
    }
}
