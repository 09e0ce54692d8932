//! Times as RFC 3339, UTC, with milliseconds.

use bulkhead_core::ids::Timestamp;

const DAY_MS: u64 = 86_400_000;

/// `2025-11-24T06:44:01.250Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let (days, ms) = (at.0 / DAY_MS, at.0 % DAY_MS);
    let (year, month, day) = civil(days as i64);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
}

/// Reads `2025-11-24T06:44:01Z`, with or without a fraction, with `Z` or an offset such as `+01:00`; or a date alone (its beginning).
pub fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let mut number = |width: usize| parts.next().filter(|p| p.len() == width).and_then(digits);
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let valid = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let days = u64::try_from(days(year as i64, month as i64, day as i64)).ok()?;
    if !valid || civil(days as i64) != (year as i64, month, day) {
        return None;
    }
    let midnight = days * DAY_MS;
    if rest.is_empty() {
        return Some(Timestamp(midnight));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, tail) = rest.split_at_checked(8)?;
    let mut parts = clock.split(':');
    let mut number = || parts.next().filter(|p| p.len() == 2).and_then(digits);
    let (h, m, s) = (number()?, number()?, number()?);
    if h > 23 || m > 59 || s > 60 {
        return None;
    }
    let (fraction, zone) = match tail.strip_prefix('.') {
        Some(tail) => tail.split_at_checked(tail.find(|c: char| !c.is_ascii_digit())?)?,
        None => ("0", tail),
    };
    let fraction = digits(format!("{fraction:0<3}").get(..3)?)?;
    let at = midnight + ((h * 60 + m) * 60 + s) * 1000 + fraction;
    match zone {
        "Z" | "z" => Some(Timestamp(at)),
        _ => {
            let (sign, hours) = zone.split_at_checked(1)?;
            let (hours, minutes) = hours.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
            let (hours, minutes) = (digits(hours).filter(|h| *h < 24)?, digits(minutes).filter(|m| *m < 60)?);
            let offset = (hours * 60 + minutes) * 60_000;
            match sign {
                "+" => at.checked_sub(offset).map(Timestamp),
                "-" => Some(Timestamp(at + offset)),
                _ => None,
            }
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Days since 1970-01-01 to year, month, day (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, u64, u64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month as u64, (doy - (153 * mp + 2) / 5 + 1) as u64)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_out_and_come_back() {
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Timestamp(1_709_210_096_789)), "2024-02-29T12:34:56.789Z");
        for at in [0, 1, 951_782_400_000, 1_709_210_096_789, 4_102_444_799_999] {
            assert_eq!(parse(&rfc3339(Timestamp(at))), Some(Timestamp(at)));
        }
        assert_eq!(parse("2024-02-29"), Some(Timestamp(1_709_164_800_000)));
        assert_eq!(parse("2024-02-29T13:34:56+01:00"), parse("2024-02-29T12:34:56Z"));
        assert_eq!(parse("2024-02-29T11:04:56.5-01:30"), parse("2024-02-29T12:34:56.500Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "yesterday",
            "2023-02-29",
            "2024-13-01",
            "2024-01-01T25:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00+1",
            "1969-01-01",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
