//! Points in time as text: ISO 8601 in the proleptic Gregorian calendar, to the digit that the unit has, as NumPy prints them.

use super::TimeUnit;

/// What stands for "not a time", in files and in memory.
pub(super) const NOT_A_TIME: i64 = i64::MIN;

const SECONDS_PER_DAY: i128 = 86_400;

/// How many units are a day or, of units below a second, how many decimals a second has.
enum Span {
    Years,
    Months,
    /// So many days.
    Days(i128),
    /// So many seconds.
    Seconds(i128),
    /// So many decimals of a second.
    Decimals(u32),
}

fn span(unit: TimeUnit) -> Option<Span> {
    Some(match unit {
        TimeUnit::Year => Span::Years,
        TimeUnit::Month => Span::Months,
        TimeUnit::Week => Span::Days(7),
        TimeUnit::Day => Span::Days(1),
        TimeUnit::Hour => Span::Seconds(3600),
        TimeUnit::Minute => Span::Seconds(60),
        TimeUnit::Second => Span::Seconds(1),
        TimeUnit::Millisecond => Span::Decimals(3),
        TimeUnit::Microsecond => Span::Decimals(6),
        TimeUnit::Nanosecond => Span::Decimals(9),
        TimeUnit::Picosecond => Span::Decimals(12),
        TimeUnit::Femtosecond => Span::Decimals(15),
        TimeUnit::Attosecond => Span::Decimals(18),
        TimeUnit::Generic => return None,
    })
}

/// A count of `scale` times `unit` since 1970-01-01T00:00 as text; the count itself where the unit is not known.
pub(super) fn to_text(count: i64, unit: TimeUnit, scale: u32) -> String {
    if count == NOT_A_TIME {
        return "NaT".to_owned();
    }
    let Some(span) = span(unit) else { return count.to_string() };
    let units = i128::from(count) * i128::from(scale);
    match span {
        Span::Years => year_text(1970 + units),
        Span::Months => format!("{}-{:02}", year_text(1970 + units.div_euclid(12)), units.rem_euclid(12) + 1),
        Span::Days(days) => date_text(units * days),
        Span::Seconds(seconds) => {
            let total = units * seconds;
            let (day, rest) = (total.div_euclid(SECONDS_PER_DAY), total.rem_euclid(SECONDS_PER_DAY));
            let mut text = format!("{}T{:02}", date_text(day), rest / 3600);
            if seconds < 3600 {
                text.push_str(&format!(":{:02}", rest / 60 % 60));
            }
            if seconds < 60 {
                text.push_str(&format!(":{:02}", rest % 60));
            }
            text
        }
        Span::Decimals(decimals) => {
            let unit = 10_i128.pow(decimals);
            let (seconds, fraction) = (units.div_euclid(unit), units.rem_euclid(unit));
            let (day, rest) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
            let width = usize::try_from(decimals).unwrap_or_default();
            format!("{}T{:02}:{:02}:{:02}.{fraction:0width$}", date_text(day), rest / 3600, rest / 60 % 60, rest % 60)
        }
    }
}

/// The inverse of [`to_text`]; also of text that goes to fewer or more digits than the unit, if it is a whole count.
pub(super) fn from_text(text: &str, unit: TimeUnit, scale: u32) -> Option<i64> {
    if text.eq_ignore_ascii_case("nat") {
        return Some(NOT_A_TIME);
    }
    let (year, month, day, time) = split(text)?;
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let (seconds, fraction) = match time {
        None => (0, Some(0)),
        Some(time) => time_of_day(time)?,
    };
    let midnight = seconds == 0 && fraction == Some(0);
    let days = days_from_date(year, month, day);
    let units = match span(unit)? {
        Span::Years if midnight && month == 1 && day == 1 => year - 1970,
        Span::Months if midnight && day == 1 => (year - 1970) * 12 + month - 1,
        Span::Days(width) if midnight => divide(days, width)?,
        Span::Seconds(width) if fraction == Some(0) => divide(days * SECONDS_PER_DAY + seconds, width)?,
        Span::Decimals(decimals) => {
            let atto = divide(fraction?, 10_i128.pow(18 - decimals))?;
            (days * SECONDS_PER_DAY + seconds).checked_mul(10_i128.pow(decimals))?.checked_add(atto)?
        }
        _ => return None,
    };
    i64::try_from(divide(units, i128::from(scale))?).ok().filter(|count| *count != NOT_A_TIME)
}

/// A quotient, if it is whole.
fn divide(number: i128, by: i128) -> Option<i128> {
    (number.checked_rem(by)? == 0).then(|| number / by)
}

/// Year, month and day of a text, where missing ones are 1, and what follows the `T`.
fn split(text: &str) -> Option<(i128, i128, i128, Option<&str>)> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let negative = date.starts_with('-');
    let mut parts = date.strip_prefix('-').unwrap_or(date).split('-');
    // A 64-bit count of years times its scale has at most 28 digits, and seconds of thirty digits of years fit.
    let year = digits(parts.next()?, if negative { 3..=30 } else { 4..=30 })?;
    let month = parts.next().map_or(Some(1), |part| digits(part, 2..=2))?;
    let day = parts.next().map_or(Some(1), |part| digits(part, 2..=2))?;
    parts.next().is_none().then_some((if negative { -year } else { year }, month, day, time))
}

/// Seconds of the day, and the fraction in 10^-18 s.
fn time_of_day(text: &str) -> Option<(i128, Option<i128>)> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?, 2..=2)?;
    let minute = parts.next().map_or(Some(0), |part| digits(part, 2..=2))?;
    let second = parts.next().map(|part| digits(part, 2..=2));
    if parts.next().is_some() || hour > 23 || minute > 59 || second.flatten().unwrap_or(0) > 59 || second == Some(None) {
        return None;
    }
    let fraction = match fraction {
        None => 0,
        Some(text) if second.is_some() => {
            let missing = 18_u32.checked_sub(u32::try_from(text.len()).ok()?)?;
            digits(text, 1..=18)? * 10_i128.pow(missing)
        }
        Some(_) => return None,
    };
    Some((hour * 3600 + minute * 60 + second.flatten().unwrap_or(0), Some(fraction)))
}

/// So many decimal digits and nothing else.
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<i128> {
    (count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn year_text(year: i128) -> String {
    format!("{year:04}")
}

fn date_text(days: i128) -> String {
    let (year, month, day) = date_from_days(days);
    format!("{}-{month:02}-{day:02}", year_text(year))
}

/// Days from 0000-03-01 to 1970-01-01. Years are counted from March, so that a leap day is the last of its year.
const EPOCH_FROM_MARCH: i128 = 719_468;
/// Days of 400 years.
const ERA_DAYS: i128 = 146_097;

fn date_from_days(days: i128) -> (i128, i128, i128) {
    let days = days + EPOCH_FROM_MARCH;
    let (era, day) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i128::from(month <= 2), month, day_of_month)
}

fn days_from_date(year: i128, month: i128, day: i128) -> i128 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_FROM_MARCH
}

fn days_in_month(year: i128, month: i128) -> i128 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests;
