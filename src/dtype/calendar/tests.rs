//! Tests of points in time as text, against what NumPy prints.

use proptest::prelude::*;

use super::*;

#[test]
fn as_numpy_prints_them() {
    for (count, unit, scale, text) in [
        (0, "Y", 1, "1970"),
        (-5000, "Y", 1, "-3030"),
        (8030, "Y", 1, "10000"),
        (0, "M", 1, "1970-01"),
        (-1, "M", 1, "1969-12"),
        (363, "M", 1, "2000-04"),
        (7, "M", 3, "1971-10"),
        (3, "W", 1, "1970-01-22"),
        (-1, "W", 1, "1969-12-25"),
        (-1, "D", 1, "1969-12-31"),
        (59, "D", 1, "1970-03-01"),
        (11016, "D", 1, "2000-02-29"),
        (-719_529, "D", 1, "-001-12-31"),
        (i64::MAX, "D", 1, "25252734927768524-07-27"),
        (-1, "h", 1, "1969-12-31T23"),
        (1, "h", 7, "1970-01-01T07"),
        (100_000, "m", 1, "1970-03-11T10:40"),
        (-1, "s", 1, "1969-12-31T23:59:59"),
        (951_782_400, "s", 1, "2000-02-29T00:00:00"),
        (i64::MAX, "s", 1, "292277026596-12-04T15:30:07"),
        (-1, "ms", 1, "1969-12-31T23:59:59.999"),
        (1, "us", 1, "1970-01-01T00:00:00.000001"),
        (2, "us", 25, "1970-01-01T00:00:00.000050"),
        (i64::MAX, "ns", 1, "2262-04-11T23:47:16.854775807"),
        (-i64::MAX, "ns", 1, "1677-09-21T00:12:43.145224193"),
        (-1, "ps", 1, "1969-12-31T23:59:59.999999999999"),
        (5, "fs", 1, "1970-01-01T00:00:00.000000000000005"),
        (-i64::MAX, "as", 1, "1969-12-31T23:59:50.776627963145224193"),
        (i64::MAX, "as", 1, "1970-01-01T00:00:09.223372036854775807"),
        (NOT_A_TIME, "s", 1, "NaT"),
    ] {
        let unit = TimeUnit::from_name(unit).unwrap();
        assert_eq!(to_text(count, unit, scale), text);
        assert_eq!(from_text(text, unit, scale), Some(count), "{text}");
    }
    assert_eq!(to_text(-7, TimeUnit::Generic, 1), "-7");
}

#[test]
fn text_that_is_no_time() {
    for text in [
        "",
        "T",
        "-",
        "200",
        "+2000",
        "2000-",
        "2000-1",
        "2000-13",
        "2000-00",
        "2000-02-30",
        "1900-02-29",
        "2000-01-01-01",
        "2000-01-01T",
        "2000-01-01T24",
        "2000-01-01T00:60",
        "2000-01-01T00:00:60",
        "2000-01-01T00:00:",
        "2000-01-01T00:00:00:00",
        "2000-01-01T00:00:00.",
        "2000-01-01T00:00.5",
        "2000-01-01T00:00:00.0000000000000000001",
        "2000-01-01T00:00:00Z",
        "2000-01-01T00:00:00.5",
        "99999999999999999999999999999999",
        "300000000000-01-01",
        "２０００-01-01",
    ] {
        assert_eq!(from_text(text, TimeUnit::Second, 1), None, "{text}");
    }
    assert_eq!(from_text("2000", TimeUnit::Generic, 1), None);
    assert_eq!(from_text("1900-03-01 00:00:00.000", TimeUnit::Day, 1), Some(-25508));
}

proptest! {
    #[test]
    fn text_gives_the_count_back(count in any::<i64>(), shift in 0_u32..64, unit in 0_usize..13, scale in 1_u32..=i32::MAX.cast_unsigned()) {
        let (unit, _) = TimeUnit::ALL[unit];
        let count = count >> shift;
        let text = to_text(count, unit, scale);
        prop_assert_eq!(from_text(&text, unit, scale), Some(count), "{}", text);
    }

    /// Every day follows the one before.
    #[test]
    fn days_are_counted(day in -4_000_000_i128..4_000_000) {
        let (year, month, date) = date_from_days(day);
        prop_assert_eq!(days_from_date(year, month, date), day);
        let next = if date < days_in_month(year, month) { (year, month, date + 1) } else if month < 12 { (year, month + 1, 1) } else { (year + 1, 1, 1) };
        prop_assert_eq!(date_from_days(day + 1), next);
    }
}
