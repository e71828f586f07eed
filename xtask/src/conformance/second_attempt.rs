//! A second attempt, alone, for the few that failed beside others.
//!
//! The clients are not ours, and some of them lose a race with themselves when the machine is busy
//! (`conformance/FINDINGS.md`). A fault of the server shows itself again when nothing else runs; a
//! busy machine does not. Whatever took two attempts is named at the end of the run.

use anyhow::Result;

use super::clients::Client;
use super::report::{self, Line};
use super::{Case, Run, run_case, run_together};

/// So many failures may be accidents. More are not, and nothing is tried again.
const ACCIDENTS_MAX: usize = 3;

/// Tries again what failed: the cases one by one, then the pairs all together.
pub(super) fn of_all(
    run: &Run,
    cases: &[Case],
    lines: &mut [Line],
    together: &[&'static Client],
    pairs: &mut Vec<Line>,
) -> Result<()> {
    let failed = lines.iter().filter(|line| line.failed()).count();
    let pair_failed = pairs.iter().any(Line::failed);
    let failures = failed + usize::from(pair_failed);
    if failures == 0 || failures > ACCIDENTS_MAX {
        return Ok(());
    }
    let again = run.again()?;
    for (line, case) in lines.iter_mut().zip(cases) {
        if let Some(reason) = line.failure() {
            *line = run_case(&again, case);
            line.first_failure = Some(reason);
            println!("{}", report::progress(line));
        }
    }
    if pair_failed {
        let first = std::mem::take(pairs);
        *pairs = run_together(&again, together)?;
        for (line, first) in pairs.iter_mut().zip(first) {
            line.first_failure = first.failure();
        }
    }
    Ok(())
}
