//! The nearest known name of a misspelt one.

/// The maximum number of wrong letters. Names with more of them are other names.
const MAX_DISTANCE: usize = 3;

/// Returns the known name with the fewest different letters; `None` if more than three letters, or
/// more than a third of all, differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = MAX_DISTANCE.min(name.chars().count() / 3);
    let distances = known.into_iter().map(|known| (distance(name, known), known));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, known)| known)
}

/// Returns the number of letters to insert, remove or replace (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = number + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        for (left, right, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("lisen", "listen", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((distance(left, right), distance(right, left)), (expected, expected));
        }
    }

    #[test]
    fn nearest_name_differs_in_few_letters() {
        let known = ["BERTH_LISTEN", "BERTH_LEASE", "BERTH_LOG"];
        assert_eq!(nearest("BERTH_LISEN", known), Some("BERTH_LISTEN"));
        assert_eq!(nearest("BERTH_LOGS", known), Some("BERTH_LOG"));
        assert_eq!(nearest("BERTH_DATABASE", known), None);
        assert_eq!(nearest("ab", ["ac"]), None, "a third of two letters is none");
    }
}
