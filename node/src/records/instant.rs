//! Stamps as people read them.

use millpond_core::Hlc;

/// The stamp's time in RFC 3339, in UTC, to the millisecond: `2026-11-20T09:26:32.123Z`.
pub fn rfc3339(stamp: Hlc) -> String {
    let ms = stamp.ms();
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day of a day since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`): years begin in March, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_read_as_they_should() {
        assert_eq!(rfc3339(Hlc::from_ms(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Hlc::from_ms(951_782_400_000)), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(Hlc::from_ms(1_795_166_792_123)), "2026-11-20T09:26:32.123Z");
        assert_eq!(rfc3339(Hlc::MAX), "2200-01-01T00:00:00.000Z");
    }
}
