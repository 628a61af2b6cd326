//! The nearest known name of a misspelt one.

use strsim::osa_distance;

/// The maximum number of wrong letters. Names with more of them are other names.
const MAX_DISTANCE: usize = 3;

/// Returns the known name with the fewest different or exchanged letters; `None` if more than three letters, or
/// more than a third of all, differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = MAX_DISTANCE.min(name.chars().count() / 3);
    let distances = known.into_iter().map(|known| (osa_distance(name, known), known));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_differs_in_few_letters() {
        let known = ["BERTH_LISTEN", "BERTH_LEASE", "BERTH_LOG"];
        assert_eq!(nearest("BERTH_LISEN", known), Some("BERTH_LISTEN"));
        assert_eq!(nearest("BERTH_LOGS", known), Some("BERTH_LOG"));
        assert_eq!(nearest("BERTH_LSITEN", known), Some("BERTH_LISTEN"));
        assert_eq!(nearest("BERTH_DATABASE", known), None);
        assert_eq!(nearest("ab", ["ac"]), None, "a third of two letters is none");
    }
}
