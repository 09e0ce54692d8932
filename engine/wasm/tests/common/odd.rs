//! Makes modules of the contract by hand, in WAT: what no honest tool would make.
#![allow(dead_code)]

use bulkhead_core::policy::Digest;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract's text.
pub const WIT: &str = include_str!("../../../../policies/wit/policy.wit");

/// A module under construction. Each function is the body of a core function in WAT; the defaults are of an honest policy
/// that allows everything.
pub struct Odd {
    /// `() -> i32`: the address of a description.
    pub describe: String,
    /// `(settings, len) -> i32`: the address of a result.
    pub configure: String,
    /// `(request) -> i32`: the address of an opinion.
    pub evaluate: String,
    /// Further fields of the module.
    pub more: String,
    /// Its memory.
    pub memory: String,
    /// The contract that its metadata claims.
    pub wit: String,
    /// What lies in its memory from `BASE` on.
    pub image: Vec<u8>,
}

/// Where the image of the memory begins.
const BASE: u32 = 4096;

/// What `describe` says. Lists of ids and keys.
pub struct Said<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub summary: &'a str,
    pub operations: &'a [u8],
    pub rules: &'a [&'a str],
    pub label_keys: &'a [&'a str],
    pub schema: &'a str,
}

impl Default for Said<'_> {
    fn default() -> Self {
        // Operations 0 and 3 are create-network and attach.
        Self { name: "odd", version: "1", summary: "An odd one", operations: &[0, 3], rules: &["known"], label_keys: &[], schema: "" }
    }
}

impl Odd {
    pub fn new() -> Self {
        Self::saying(&Said::default())
    }

    pub fn saying(said: &Said<'_>) -> Self {
        let mut odd = Self {
            describe: String::new(),
            configure: String::new(),
            evaluate: String::new(),
            more: String::new(),
            memory: "(memory (export \"memory\") 4)".into(),
            wit: WIT.into(),
            image: Vec::new(),
        };
        let description = odd.description(said);
        odd.describe = format!("i32.const {description}");
        // result::ok: a zero byte.
        let fine = odd.place(&[0; 12]);
        odd.configure = format!("i32.const {fine}");
        let allow = odd.opinion(1, &[]);
        odd.evaluate = format!("i32.const {allow}");
        odd
    }

    /// Puts bytes into memory, at a multiple of four, and says where.
    pub fn place(&mut self, bytes: &[u8]) -> u32 {
        self.image.resize(self.image.len().next_multiple_of(4), 0);
        let at = BASE + u32::try_from(self.image.len()).expect("small");
        self.image.extend_from_slice(bytes);
        at
    }

    /// A text or a list of bytes: pointer and length.
    fn span(&mut self, bytes: &[u8]) -> [u32; 2] {
        [self.place(bytes), u32::try_from(bytes.len()).expect("small")]
    }

    pub fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.place(&bytes)
    }

    pub fn description(&mut self, said: &Said<'_>) -> u32 {
        let mut record = Vec::new();
        for text in [said.name, said.version, said.summary] {
            record.extend(self.span(text.as_bytes()));
        }
        record.extend(self.span(said.operations));
        let mut rules = Vec::new();
        for id in said.rules {
            rules.extend(self.span(id.as_bytes()));
            rules.extend(self.span(b"A rule"));
            rules.extend([0, 0]);
        }
        record.extend([self.words(&rules), u32::try_from(said.rules.len()).expect("few")]);
        let mut keys = Vec::new();
        for key in said.label_keys {
            keys.extend(self.span(key.as_bytes()));
        }
        record.extend([self.words(&keys), u32::try_from(said.label_keys.len()).expect("few")]);
        record.extend([0, 0]);
        record.extend(self.span(said.schema.as_bytes()));
        self.words(&record)
    }

    /// An opinion: 0 not applicable, 1 allow, 2 deny; violations of these rules.
    pub fn opinion(&mut self, outcome: u32, rules: &[&[u8]]) -> u32 {
        let mut violations = Vec::new();
        for rule in rules {
            violations.extend(self.span(rule));
            violations.extend(self.span(b"because"));
            violations.extend([0; 6]);
        }
        let list = [self.words(&violations), u32::try_from(rules.len()).expect("few")];
        self.words(&[outcome, list[0], list[1], 0, 0, 0, 0])
    }

    /// The core module, without metadata.
    pub fn plain(&self) -> Vec<u8> {
        let data: String = self.image.iter().map(|b| format!("\\{b:02x}")).collect();
        let (describe, configure, evaluate, more, memory) = (&self.describe, &self.configure, &self.evaluate, &self.more, &self.memory);
        let interface = if self.wit.contains("policy@2.0.0") { "bulkhead:policy/judge@2.0.0" } else { "bulkhead:policy/judge@1.0.0" };
        let text = format!(
            r#"(module
                {more}
                {memory}
                (data (i32.const {BASE}) "{data}")
                (global $free (mut i32) (i32.const 131072))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local i32)
                    (local.set 4 (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
                    (global.set $free (i32.add (local.get 4) (local.get 3)))
                    (local.get 4))
                (func (export "{interface}#describe") (result i32) {describe})
                (func (export "{interface}#configure") (param i32 i32) (result i32) {configure})
                (func (export "{interface}#evaluate") (param i32) (result i32) {evaluate}))"#
        );
        wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The core module with metadata, as wit-bindgen would leave it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut module = self.plain();
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", &self.wit).expect("WIT");
        let world = resolve.select_world(&[package], Some("policy")).expect("the world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("embedded");
        module
    }

    /// The component that wit-component makes of it.
    pub fn component(&self) -> Vec<u8> {
        wit_component::ComponentEncoder::default().module(&self.bytes()).expect("a module").encode().expect("a component")
    }
}

pub fn digest(bytes: &[u8]) -> Digest {
    bulkhead_wasm::digest(bytes)
}

/// A module whose compilation takes long: one function of so many blocks that end in a branch table over all of them.
pub fn bomb(blocks: usize) -> Vec<u8> {
    let targets = |n: usize| (0..n).map(|t| t.to_string()).collect::<Vec<_>>().join(" ");
    let body: String = (0..blocks).map(|n| format!("(br_table {} (local.get 0)) end ", targets(blocks - n))).collect();
    Odd { more: format!("(func (param i32) {} {body})", "block ".repeat(blocks)), ..Odd::new() }.bytes()
}
