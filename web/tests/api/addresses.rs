//! What each address of a network is.

use crate::site::{Site, must};
use serde_json::json;

#[test]
fn each_address_is_told_by_what_it_is() {
    let site = Site::new();
    let mut client = site.client();
    let subnets = json!([{"cidr": "10.0.0.0/28", "ip_range": "10.0.0.8/29", "reserved": {"router": "10.0.0.9"}}, {"cidr": "fd00:9::/64"}]);
    must(client.post("/v1/networks", &json!({"name": "n", "subnets": subnets})), 201);
    must(client.post("/v1/networks", &json!({"name": "other", "subnets": [{"cidr": "10.1.0.0/28"}]})), 201);
    let attach = |name: &str| json!({"namespace": {"name": name}, "name": name});
    let a = must(client.post("/v1/networks/n/endpoints", &attach("a")), 201);
    let b = must(client.post("/v1/networks/n/endpoints", &attach("b")), 201);
    must(client.post("/v1/networks/other/endpoints", &attach("c")), 201);
    must(client.delete(&format!("/v1/networks/n/endpoints/{}", a["id"].as_str().unwrap())), 200);
    let page = must(client.get("/v1/networks/n/addresses"), 200);
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (2, &json!(null)));
    let v4 = &page["items"][0];
    assert_eq!((&v4["cidr"], &v4["gateway"], &v4["reserved"]), (&json!("10.0.0.0/28"), &json!("10.0.0.1"), &json!({"router": "10.0.0.9"})));
    let used = &v4["used"];
    assert_eq!((used.as_array().unwrap().len(), &used[0]["address"], &used[0]["name"]), (1, &json!("10.0.0.10"), &json!("b")));
    assert_eq!((&used[0]["endpoint"], &used[0]["decision"], &used[0]["state"]), (&b["id"], &b["decision"], &json!("attached")));
    assert_eq!(v4["held_back"][0]["address"], "10.0.0.8", "freed a moment ago");
    assert_eq!(v4["held_back"].as_array().unwrap().len(), 1, "those of other networks and families are theirs");
    let free = json!([{"first": "10.0.0.2", "last": "10.0.0.7"}, {"first": "10.0.0.11", "last": "10.0.0.14"}]);
    assert_eq!((&v4["free"], &v4["next"], &v4["addresses_left"]), (&free, &json!("10.0.0.11"), &json!("4")));
    let v6 = &page["items"][1];
    assert_eq!(
        (&v6["cidr"], v6["used"].as_array().unwrap().len(), v6["held_back"].as_array().unwrap().len()),
        (&json!("fd00:9::/64"), 1, 1)
    );
    assert_eq!(client.get("/v1/networks/none/addresses").status, 404);
}
