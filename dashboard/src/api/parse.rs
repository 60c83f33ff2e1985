//! What several resources read from their parameters.

use protocol::{DeviceId, Timestamp};
use store::{Place, Search};

use super::samples::moment;
use crate::App;
use crate::error::ApiError;

/// A device that there is.
pub(super) fn device(app: &App, text: Option<&str>) -> Result<Option<DeviceId>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let id = DeviceId::parse(text).ok().filter(|id| app.store.device(*id).is_some());
    id.map(Some).ok_or_else(|| ApiError::not_found("device"))
}

/// How many rows of one answer.
pub(super) fn limit(asked: Option<u32>, max: u32) -> Result<u32, ApiError> {
    match asked.unwrap_or(100) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        _ => Err(ApiError::invalid("limit", format!("1 to {max} rows."))),
    }
}

/// From when to when; both may be open.
pub(super) fn span(
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), ApiError> {
    let from = from.map(|text| moment("from", text)).transpose()?;
    let to = to.map(|text| moment("to", text)).transpose()?;
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(ApiError::invalid("from", "`from` lies before `to`."));
    }
    Ok((from, to))
}

/// Words with commas between, each one of those that there are.
pub(super) fn words<T: Copy>(
    field: &'static str,
    text: Option<&str>,
    known: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, ApiError> {
    let Some(text) = text else { return Ok(vec![]) };
    text.split(',')
        .map(|word| {
            known.iter().copied().find(|one| name(*one) == word.trim()).ok_or_else(|| {
                let all: Vec<&str> = known.iter().map(|one| name(*one)).collect();
                ApiError::invalid(field, format!("There are: {}.", all.join(", ")))
            })
        })
        .collect()
}

/// What somebody looks for.
pub(super) fn search(text: Option<&str>) -> Result<Option<Search>, ApiError> {
    let found = Search::parse(text.unwrap_or_default());
    found.map_err(|too_much| ApiError::invalid("q", format!("{too_much}, please.")))
}

fn no_cursor() -> ApiError {
    ApiError::invalid("cursor", "Send `next` of the answer before as it came, or leave it out to begin anew.")
}

/// A place in a list, as a word that only we read. `list` is a letter: a place in one list means nothing in another.
pub(super) fn cursor(list: char, place: Place) -> String {
    pair(list, place.at.0, place.no)
}

/// Reads what [`cursor`] wrote.
pub(super) fn place(list: char, text: Option<&str>) -> Result<Option<Place>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let (at, no) = unpair(list, text).ok_or_else(no_cursor)?;
    Ok(Some(Place { at: Timestamp(at), no }))
}

/// Two numbers, as a word that only we read.
pub(super) fn pair(list: char, first: i64, second: i64) -> String {
    format!("{list}{:016x}{:016x}", first.cast_unsigned(), second.cast_unsigned())
}

fn unpair(list: char, text: &str) -> Option<(i64, i64)> {
    let digits = text.strip_prefix(list)?;
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(digits, 16).ok().filter(|_| plain).map(u64::cast_signed)
    };
    let (first, second) = digits.split_at_checked(16)?;
    if second.len() != 16 {
        return None;
    }
    Some((number(first)?, number(second)?))
}

/// Reads what [`pair`] wrote.
pub(super) fn numbers(list: char, text: Option<&str>) -> Result<Option<(i64, i64)>, ApiError> {
    text.map(|text| unpair(list, text).ok_or_else(no_cursor)).transpose()
}

/// The rows of a page, of which one more was read than was asked for, and where the next page begins.
pub(super) fn page<T>(
    mut rows: Vec<T>,
    limit: u32,
    place: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(place);
    (rows, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_word_and_nonsense_is_refused() {
        for place in [(0, 0), (1_800_000_000_000, 17), (-5, i64::MAX), (i64::MIN, -1)] {
            let place_of = Place { at: Timestamp(place.0), no: place.1 };
            let word = cursor('e', place_of);
            assert_eq!(super::place('e', Some(&word)), Ok(Some(place_of)));
            assert!(super::place('v', Some(&word)).is_err(), "of another list");
        }
        for nonsense in [
            "",
            "e",
            "e1",
            "x",
            "eü",
            "é",
            &"e".repeat(33),
            &format!("e+{}", "0".repeat(31)),
            &"0".repeat(33),
        ] {
            let refused = super::place('e', Some(nonsense));
            // Thirty-two hexadecimal digits are a place, if a strange one.
            assert_eq!(refused.is_err(), nonsense != "e".repeat(33), "{nonsense}");
        }
        assert_eq!(super::place('e', None), Ok(None));
    }
}
