//! What compiled modules cost at a start, on disk and in memory: a hundred policies from the cache, and a hundred revisions of a large module.

use crate::built_ins::SETTINGS;
use crate::common::odd::Odd;
use crate::common::policy_of;
use crate::engines::wasm::{built_in, numbered};
use crate::measure::resident_mib;
use bulkhead_core::policy::Policy;
use bulkhead_wasm::{Cache, Limits, WasmJudge};
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

/// How many policies are on record.
const POLICIES: usize = 100;
/// How many revisions one policy has had.
const REVISIONS: usize = 100;
/// Size of the large module, in bytes: policies in Python have as many.
const LARGE: usize = 18 << 20;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn judge(folder: &Path, limits: &Limits) -> Outcome<WasmJudge> {
    Ok(WasmJudge::new(limits.clone())?.with_cache(Cache::open(folder)?))
}

/// Bytes of all files in a folder.
fn on_disk(folder: &Path) -> Outcome<u64> {
    std::fs::read_dir(folder)?.map(|file| Ok(file?.metadata()?.len())).sum()
}

/// A hundred policies of the built-ins, each with settings of its own.
fn hundred(judge: &WasmJudge) -> Outcome<Vec<Policy>> {
    let one = |i: usize| -> Outcome<Policy> {
        let (name, settings) = SETTINGS[i % SETTINGS.len()];
        let mut settings: Value = serde_json::from_str(settings)?;
        // Each built-in has one of these as a list or a number of its own.
        let tag = format!("tag-{i}");
        match name {
            "tier-isolation" => settings["allowed_pairs"][0][0] = json!(tag),
            "subnet-rules" => settings["tiers"][tag] = json!({}),
            "vlan-allow-list" => settings["rules"][tag] = json!({"vlans": [i]}),
            "internal-only" => settings["tiers"][0] = json!(tag),
            "required-labels" => settings["networks"]["tier"][0] = json!(tag),
            "quotas" => settings["networks_per_caller"] = json!(1000 + i),
            "address-reservations" => settings["reservations"][0]["workloads"][0] = json!(tag),
            // no-raw has few settings: all of them, one after the other.
            _ => {
                let k = i / SETTINGS.len();
                let (on, unknown) = (["untagged", "reaching"][k % 2], ["deny", "allow"][k / 2 % 2]);
                let said: &[&str] = [&["asserted"][..], &["runtime"], &["asserted", "runtime"], &["runtime", "asserted"]][k / 4 % 4];
                settings = json!({"on": on, "unknown": unknown, "provenance": said});
            }
        }
        let module = judge.admit(built_in(name)?.bytes)?;
        Ok(policy_of(module.digest, judge.check_settings(module.digest, &settings)?, settings))
    };
    Ok(numbered((0..POLICIES).map(one).collect::<Outcome<Vec<_>>>()?.into_iter())?)
}

/// A hundred policies, from the cache.
pub fn hundred_policies(scratch: &Path) -> Outcome<()> {
    let (folder, limits) = (scratch.join("hundred"), Limits::default());
    let first = judge(&folder, &limits)?;
    let begin = Instant::now();
    let policies = hundred(&first)?;
    let making = ms(begin);
    let modules: Vec<_> = SETTINGS.iter().map(|(name, _)| built_in(name)).collect::<Result<_, _>>()?;
    println!("Start with {POLICIES} policies of the built-ins on record, settings frozen; ms, best and worst of 9");
    println!("  compiled and frozen once: {making:.0}; on disk {:.1} MiB", on_disk(&folder)? as f64 / f64::from(1 << 20));
    drop(first);
    let mut starts: Vec<(f64, f64)> = (0..9)
        .map(|_| {
            let begin = Instant::now();
            let again = judge(&folder, &limits)?;
            let ready = ms(begin);
            modules.iter().try_for_each(|m| again.load(bulkhead_wasm::digest(m.bytes), m.bytes))?;
            policies.iter().for_each(|p| again.load_settings(p));
            again.tidy(policies.iter());
            let loaded = ms(begin);
            // All are there: nothing was frozen anew.
            Ok((ready, loaded - ready))
        })
        .collect::<Outcome<_>>()?;
    starts.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (best, worst) = (starts[0], starts[starts.len() - 1]);
    println!("  loaded from the cache: {:.1} to {:.1}; wasmtime itself {:.1}\n", best.1, worst.1, best.0);
    Ok(())
}

/// A component with so many bytes of data, whose settings end up in its memory.
fn large() -> Vec<u8> {
    let mut odd = Odd::new();
    // Not zero, so that no part of it is left away.
    odd.place(&vec![0xa5; LARGE]);
    let pages = (odd.image.len() + (256 << 10)).div_ceil(64 << 10);
    odd.memory = format!("(memory (export \"memory\") {pages})");
    odd.configure = format!("(memory.copy (i32.const 1024) (local.get 0) (local.get 1)) {}", odd.configure);
    odd.bytes()
}

/// A hundred revisions of the settings of one large module, the last in force.
pub fn hundred_revisions(scratch: &Path) -> Outcome<()> {
    let bytes = large();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("{REVISIONS} revisions of the settings of one module of {:.1} MiB; the last is in force", mib(bytes.len() as u64));
    println!("{:<44} {:>8} {:>9} {:>10} {:>10} {:>10}", "", "each, ms", "cache MiB", "disk, MiB", "memory MiB", "start, ms");
    let shipped = Limits::default();
    let frozen = Limits { freeze_bytes_max: 64 << 20, ..shipped.clone() };
    let tight = Limits { cache_bytes_max: 256 << 20, ..frozen.clone() };
    let rows = [
        ("as shipped: read at every judgement", shipped),
        ("frozen, as modules up to 1 MiB are", frozen),
        ("frozen, a smaller cache", tight),
    ];
    for (at, (name, limits)) in rows.iter().enumerate() {
        let folder = scratch.join(format!("revisions-{at}"));
        let before = resident_mib();
        let writer = judge(&folder, limits)?;
        let module = writer.admit(&bytes)?;
        let mut in_force = None;
        let begin = Instant::now();
        for revision in 0..REVISIONS {
            let settings = json!({ "revision": revision });
            let description = writer.check_settings(module.digest, &settings)?;
            writer.tidy(in_force.iter());
            in_force = Some(policy_of(module.digest, description, settings));
            writer.tidy(in_force.iter());
        }
        let each = ms(begin) / REVISIONS as f64;
        let (disk, resident) = (on_disk(&folder)?, resident_mib() - before);
        drop(writer);
        let begin = Instant::now();
        let again = judge(&folder, limits)?;
        again.load(module.digest, &bytes)?;
        in_force.iter().for_each(|p| again.load_settings(p));
        let start = ms(begin);
        let (disk, max) = (mib(disk), mib(limits.cache_bytes_max));
        println!("{name:<44} {each:>8.0} {max:>9.0} {disk:>10.0} {resident:>10.0} {start:>10.0}");
        // What is in force stays beside what the cache may hold.
        let beside = mib(2 * (bytes.len() as u64 + (1 << 20)));
        if disk > max + beside || resident > max + 4.0 * beside {
            return Err(format!("{name}: over the cache's {max:.0} MiB").into());
        }
        drop(again);
        std::fs::remove_dir_all(&folder)?;
    }
    println!();
    Ok(())
}
