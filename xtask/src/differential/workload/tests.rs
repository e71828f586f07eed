//! What a workload promises.

use super::*;

#[test]
fn a_seed_repeats_its_operations() {
    let text = |seed| format!("{:?}", Workload::generate(seed, 300));
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn operations_refer_to_earlier_ones_only() {
    for seed in 0..20 {
        let operations = Workload::generate(seed, 200);
        for (index, operation) in operations.iter().enumerate() {
            let earlier = match operation {
                Operation::EndTransaction { half, .. } | Operation::AwaitCheck { half, .. } => {
                    *half
                }
                Operation::Await { send, .. }
                | Operation::Recall { send, .. }
                | Operation::QueryKey { send, .. }
                | Operation::ViewById { send, .. } => *send,
                Operation::SendBack { pull, .. } => *pull,
                Operation::AwaitSentBack { send_back } => *send_back,
                Operation::PopAgain { pop }
                | Operation::PopOrderedAgain { pop }
                | Operation::Ack { pop, .. }
                | Operation::AckAll { pop }
                | Operation::ChangeInvisible { pop, .. } => *pop,
                _ => continue,
            };
            assert!(earlier < index, "seed {seed}: {operation:?} at {index}");
        }
    }
}
