//! What an attach and a detach cost here. Prints; asserts nothing but success.

use crate::bed::{Bed, Result, Wish, boot};
use bulkhead_core::plan::Settled;
use bulkhead_kernel::{find, sent};
use std::time::Instant;

#[test]
#[ignore = "a measurement: run it with --ignored --nocapture"]
fn microseconds() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let wish = Wish::v4(bed.eth0, 10);
    let mut times = [const { Vec::new() }; 4];
    let mut timed = |which: usize, work: &mut dyn FnMut()| {
        let begin = Instant::now();
        work();
        times[which].push(begin.elapsed().as_micros());
    };
    let before = sent();
    for _ in 0..500 {
        let mut open = None;
        timed(0, &mut || open = bed.open(&a).ok());
        let open = open.ok_or("not opened")?;
        timed(1, &mut || assert_eq!(bed.apply(&wish.attach(&open.record), Some(&open)), Settled::Done));
        timed(2, &mut || assert_eq!(bed.apply(&wish.detach(&open.record), Some(&open)), Settled::Done));
        timed(3, &mut || assert!(matches!(find::find(&open.record), find::Found::There(_))));
    }
    let after = sent();
    for (what, times) in ["open (with a thread of the lab's)", "attach", "detach", "find by path"].iter().zip(&mut times) {
        times.sort_unstable();
        let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
        println!("{what}: at best {} µs, p10 {}, p50 {}, p99 {}", at(0), at(10), at(50), at(99));
    }
    println!("netlink for 500 pairs: {} sends, {} messages; boot {}", after.sends - before.sends, after.messages - before.messages, boot());
    Ok(())
}

#[test]
#[ignore = "a measurement: run it with --ignored --nocapture, on a kernel with several CPUs"]
fn detaches_one_at_a_time_and_sixteen_at_once() -> Result {
    let bed = Bed::new()?;
    let mut endpoints = Vec::new();
    for host in 10..202 {
        let namespace = bed.lab.workload(&format!("w{host}"))?;
        let open = bed.open(&namespace)?;
        let wish = Wish::v4(bed.eth0, host);
        assert_eq!(bed.apply(&wish.attach(&open.record), Some(&open)), Settled::Done);
        endpoints.push((namespace, open.record, wish));
    }
    let (one, many) = endpoints.split_at(64);
    let detach = |(_, record, wish): &(_, _, Wish)| assert_eq!(bed.apply(&wish.detach(record), None), Settled::Done);
    let begin = Instant::now();
    one.iter().for_each(detach);
    let single = begin.elapsed();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for share in many.chunks(8) {
            scope.spawn(move || share.iter().for_each(detach));
        }
    });
    println!("64 detaches one at a time: {single:?}; 128 on 16 threads: {:?}", begin.elapsed());
    Ok(())
}
