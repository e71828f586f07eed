//! What administration tools are told of the machine and of settings that front ends have nothing
//! to do with.

use std::fmt;

/// How much room a disk has, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of it.
    pub total: u64,
    /// What nobody uses.
    pub free: u64,
    /// What of it this process may use.
    pub available: u64,
}

impl DiskSpace {
    /// The part in use, in whole hundredths, rounded up, of what is in use or may be used: as
    /// Apache's broker counts it.
    pub(crate) fn used_ratio(self) -> f64 {
        let used = self.total.saturating_sub(self.free);
        let all = used.saturating_add(self.available);
        let hundredths = u128::from(used) * 100;
        let hundredths = hundredths.div_ceil(u128::from(all.max(1)));
        hundredths as f64 / 100.0
    }
}

/// What is around the front ends.
pub struct Surroundings {
    /// How long messages are kept at least, in hours.
    pub retention_hours: u64,
    /// Processors that the process may use.
    pub processors: usize,
    /// Asks how much room there is for messages; `None` if it cannot be told.
    pub disk_space: Box<dyn Fn() -> Option<DiskSpace> + Send + Sync>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("retention_hours", &self.retention_hours)
            .field("processors", &self.processors)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_rounded_up() {
        let ratio = |total, free, available| {
            let space = DiskSpace {
                total,
                free,
                available,
            };
            space.used_ratio()
        };
        assert_eq!(ratio(1000, 500, 500), 0.5);
        assert_eq!(ratio(1000, 499, 499), 0.51);
        assert_eq!(ratio(1000, 500, 300), 0.63);
        assert_eq!(ratio(0, 0, 0), 0.0);
        assert_eq!(ratio(u64::MAX, 0, 0), 1.0);
    }
}
