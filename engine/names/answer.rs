//! From a question's bytes to an answer's. Pure.

use crate::lookup::{self, Found};
use bulkhead_core::endpoint::NetnsId;
use bulkhead_core::state::State;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::net::IpAddr;

/// How long an answer may be kept, in seconds: short, as endpoints come and go, and much shorter than a freed address is held back,
/// so that a name that is remembered does not lead to a stranger.
const TTL_S: u32 = 5;
/// What we take over UDP, told to clients by EDNS: fits every link (DNS flag day 2020).
const PAYLOAD: u16 = 1232;
/// Largest answer over UDP, whatever a client says that it takes. It goes over loopback, so nothing is fragmented.
const UDP_MAX: u16 = 4096;

/// By which transport a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// What does not fit is cut off, and asked for again over TCP.
    Udp,
    /// All fits.
    Tcp,
}

/// What is to be done with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: it is no question.
    Nothing,
    /// Send this.
    Answer(Vec<u8>),
    /// Ask the host's resolvers; where they do not answer, send this.
    Forward {
        /// SERVFAIL.
        otherwise: Vec<u8>,
    },
}

/// The reply to a question that was asked in namespace `from`.
pub fn reply(state: &State, from: NetnsId, question: &[u8], transport: Transport) -> Reply {
    let Some(&[id_high, id_low, flags]) = question.get(..3).filter(|_| question.len() >= 12) else { return Reply::Nothing };
    if flags & 0x80 != 0 {
        // An answer; answering answers would never end.
        return Reply::Nothing;
    }
    let Ok(question) = Message::from_vec(question) else {
        let id = u16::from_be_bytes([id_high, id_low]);
        return encoded(&Message::error_msg(id, OpCode::Query, ResponseCode::FormErr), u16::MAX);
    };
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.checking_disabled = question.metadata.checking_disabled;
    answer.queries = question.queries.clone();
    let most = match transport {
        Transport::Udp => question.max_payload().clamp(512, UDP_MAX),
        Transport::Tcp => u16::MAX,
    };
    let outside = answer_into(&mut answer, state, from, &question);
    if let Some(asked) = &question.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD).set_dnssec_ok(asked.flags().dnssec_ok);
        answer.edns = Some(edns);
    }
    match (outside, encoded(&answer, most)) {
        (true, Reply::Answer(otherwise)) => Reply::Forward { otherwise },
        (_, reply) => reply,
    }
}

/// Fills in the answer. True where the host's resolvers are to be asked first.
fn answer_into(answer: &mut Message, state: &State, from: NetnsId, question: &Message) -> bool {
    let mut say = |code: ResponseCode| answer.metadata.response_code = code;
    if question.metadata.op_code != OpCode::Query {
        say(ResponseCode::NotImp);
        return false;
    }
    if question.version() > 0 {
        say(ResponseCode::BADVERS);
        return false;
    }
    let [asked] = question.queries.as_slice() else {
        say(ResponseCode::FormErr);
        return false;
    };
    if !matches!(asked.query_class, DNSClass::IN | DNSClass::ANY) {
        say(ResponseCode::Refused);
        return false;
    }
    let networks = lookup::networks(state, from);
    let found = match asked.name.parse_arpa_name() {
        Ok(net) if net.prefix_len() == net.max_prefix_len() => match lookup::names(state, &networks, net.addr()) {
            Found::There(names) => Found::There(names.iter().filter_map(|n| name_of(n)).map(|n| RData::PTR(PTR(n))).collect()),
            Found::Nothing => Found::Nothing,
            Found::Outside => Found::Outside,
        },
        _ => match plain(&asked.name) {
            Some(name) => match lookup::addresses(state, &networks, &name) {
                Found::There(all) => Found::There(all.into_iter().map(data).collect()),
                Found::Nothing => Found::Nothing,
                Found::Outside => Found::Outside,
            },
            None if asked.name.num_labels() > 1 => Found::Outside,
            None => Found::Nothing,
        },
    };
    match found {
        Found::There(data) => {
            // None of the type that was asked for is an answer, too: the name exists.
            let mut fit: Vec<RData> =
                data.into_iter().filter(|d| asked.query_type == RecordType::ANY || d.record_type() == asked.query_type).collect();
            // Where several have one name, each question begins with another of them.
            if !fit.is_empty() {
                let first = usize::from(question.metadata.id) % fit.len();
                fit.rotate_left(first);
            }
            answer.answers = fit.into_iter().map(|d| Record::from_rdata(asked.name.clone(), TTL_S, d)).collect();
            false
        }
        // Without an SOA nobody remembers that it is not there (RFC 2308, 5): it may be attached a moment later.
        Found::Nothing => {
            say(ResponseCode::NXDomain);
            false
        }
        Found::Outside => {
            say(ResponseCode::ServFail);
            lookup::forwards(&networks)
        }
    }
}

/// The name as ours are spelt, in lower case; `None` where ours never are spelt so.
fn plain(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.iter() {
        let label = std::str::from_utf8(label).ok().filter(|l| l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))?;
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.chars().map(|c| c.to_ascii_lowercase()));
    }
    (!text.is_empty()).then_some(text)
}

fn name_of(text: &str) -> Option<Name> {
    Name::from_labels(text.split('.').map(str::as_bytes)).ok()
}

fn data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

fn encoded(answer: &Message, most: u16) -> Reply {
    debug_assert_eq!(answer.metadata.message_type, MessageType::Response);
    let bytes = match answer.to_vec() {
        Ok(bytes) if bytes.len() > usize::from(most) => answer.truncate().to_vec(),
        other => other,
    };
    bytes.map_or(Reply::Nothing, Reply::Answer)
}
