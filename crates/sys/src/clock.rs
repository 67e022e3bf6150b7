//! Clocks: monotonic for every timeout, wall time for logs and headers only.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds of CLOCK_MONOTONIC: comparable between the processes of one machine.
pub fn monotonic_ms() -> u64 {
    monotonic_ns() / 1_000_000
}

/// The same as of the kernel's last tick (at most [`COARSE_MS`] ago), at a fraction of the cost:
/// for deadlines and ages that are looked at with every request.
pub fn coarse_ms() -> u64 {
    let time = read(libc::CLOCK_MONOTONIC_COARSE);
    (time.tv_sec as u64).saturating_mul(1000).saturating_add(time.tv_nsec as u64 / 1_000_000)
}

/// Seconds since 1970 as of the kernel's last tick.
pub fn coarse_wall_seconds() -> u64 {
    u64::try_from(read(libc::CLOCK_REALTIME_COARSE).tv_sec).unwrap_or(0)
}

/// How far a coarse clock may be behind: one tick of the slowest kernel.
pub const COARSE_MS: u64 = 10;

/// Microseconds of CLOCK_MONOTONIC.
pub fn monotonic_us() -> u64 {
    monotonic_ns() / 1_000
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn monotonic_ns() -> u64 {
    let time = read(libc::CLOCK_MONOTONIC);
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the call to fill; a clock that does not exist (all
    // that are asked for here do) leaves it as it is.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time
}

/// Lets this thread's sleeps end so late at most; the kernel's default is 50 µs.
pub fn set_timer_slack(slack: std::time::Duration) {
    let nanoseconds = libc::c_ulong::try_from(slack.as_nanos()).unwrap_or(libc::c_ulong::MAX);
    // SAFETY: takes numbers only. It cannot fail, but for kernels without timer slack, where
    // there is nothing to set.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds) };
}

/// The time of day.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Broken-down local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Full year.
    pub year: i32,
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// 0 is Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// Seconds east of UTC.
    pub offset_seconds: i32,
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl LocalTime {
    /// As ctime(3) writes it: `Fri Nov 20 18:00:00 2026`.
    pub fn ctime(&self) -> String {
        let LocalTime { year, day, .. } = self;
        let weekday = DAYS.get(usize::from(self.weekday)).unwrap_or(&"???");
        format!("{weekday} {} {day:>2} {} {year}", self.month_name(), self.of_day())
    }

    /// As access logs have it: `20/Nov/2026:18:00:00 +0000`.
    pub fn common_log(&self) -> String {
        let LocalTime { year, day, .. } = self;
        format!("{day:02}/{}/{year}:{} {}", self.month_name(), self.of_day(), self.zone())
    }

    /// `18:00:00`
    pub fn of_day(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }

    /// Where that is, in hours and minutes east of UTC: `+0000`.
    pub fn zone(&self) -> String {
        let sign = if self.offset_seconds < 0 { '-' } else { '+' };
        let minutes = self.offset_seconds.unsigned_abs() / 60;
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }

    fn month_name(&self) -> &'static str {
        MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("???")
    }
}

/// `time` in the machine's time zone (`TZ`, `/etc/localtime`).
pub fn local(time: SystemTime) -> LocalTime {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seconds = seconds as libc::time_t;
    // SAFETY: an all-zero `tm` is a valid value of that plain C struct.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, which is the thread-safe variant.
    unsafe { libc::localtime_r(&seconds, &mut parts) };
    LocalTime {
        year: parts.tm_year + 1900,
        month: parts.tm_mon as u8 + 1,
        day: parts.tm_mday as u8,
        weekday: parts.tm_wday as u8,
        hour: parts.tm_hour as u8,
        minute: parts.tm_min as u8,
        second: parts.tm_sec as u8,
        offset_seconds: parts.tm_gmtoff as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_ctime_and_access_logs_do() {
        let mut time = LocalTime {
            year: 2026,
            month: 11,
            day: 2,
            weekday: 1,
            hour: 8,
            minute: 5,
            second: 9,
            offset_seconds: -12_600,
        };
        assert_eq!(time.ctime(), "Mon Nov  2 08:05:09 2026");
        assert_eq!(time.common_log(), "02/Nov/2026:08:05:09 -0330");
        (time.month, time.weekday, time.offset_seconds) = (0, 9, 19_800);
        assert_eq!(time.ctime(), "??? ???  2 08:05:09 2026");
        assert_eq!(time.zone(), "+0530");
    }

    #[test]
    fn the_monotonic_clock_never_runs_backwards() {
        let first = monotonic_ns();
        assert!(first > 0);
        assert!(monotonic_ns() >= first);
    }
}
