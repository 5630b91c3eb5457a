//! `[[trunk]]`: who carries calls in and out.

use super::file::{Around, HOUR, MINUTE, SRTP, network, number, transport_of};
use super::{Register, Transport, Trunk, TrunkAddress};
use crate::model::toml_file::Table;

pub(super) fn read(root: &Table<'_>, around: &Around<'_>) -> Vec<Trunk> {
    let Some(list) = root.get("trunk") else { return vec![] };
    let mut trunks: Vec<Trunk> = Vec::new();
    for entry in list.list().unwrap_or_default() {
        let Some(trunk) = entry.table().and_then(|table| trunk(&table, around)) else { continue };
        if trunks.iter().any(|other| other.name == trunk.name) {
            entry.error(format!("two trunks are named \"{}\"", trunk.name), "give each a name of its own");
        }
        trunks.push(trunk);
    }
    trunks
}

fn trunk(table: &Table<'_>, around: &Around<'_>) -> Option<Trunk> {
    const NET: &str = "write \"198.51.100.0/24\" or \"198.51.100.7\"";
    let name = table.require("name", "write name = \"carrier\"").and_then(|value| value.words());
    let address = table.require("address", "write address = \"sip.carrier.example:5060\"");
    let address = address.and_then(|value| {
        value.parse_with(trunk_address, "write \"sip.carrier.example:5060\", with ;transport=tcp or tls if need be")
    });
    let accept_from = table
        .get("accept_from")
        .map(|value| value.one_or_more().iter().filter_map(|value| value.parse_with(network, NET)).collect());
    let numbers = table
        .get("numbers")
        .map(|value| value.one_or_more().iter().filter_map(|value| number(value, around)).collect());
    let register = table.get("register").map(|value| register(&value.table()?, around));
    let srtp = table.get("srtp").and_then(|value| value.choice(&SRTP));
    table.finish();
    let trunk = Trunk {
        name: name?.to_owned(),
        address: address?,
        accept_from: accept_from.unwrap_or_default(),
        numbers: numbers.unwrap_or_default(),
        register: match register {
            Some(register) => Some(register?),
            None => None,
        },
        srtp: srtp.unwrap_or_default(),
    };
    if trunk.register.is_none() && trunk.accept_from.is_empty() {
        let cure = "write accept_from = [\"198.51.100.0/24\"], or register = { username = …, password = … }";
        table.reader().error(table.place(), format!("nobody can call in by trunk \"{}\"", trunk.name), cure);
    }
    Some(trunk)
}

/// `sip.carrier.example:5060;transport=tcp`, `[2001:db8::1]:5060`
fn trunk_address(text: &str) -> Result<TrunkAddress, String> {
    let (place, transport) = match text.split_once(';') {
        Some((place, parameter)) => {
            let name = parameter.strip_prefix("transport=").and_then(transport_of);
            (place, name.ok_or_else(|| format!("\"{parameter}\" is no transport"))?)
        }
        None => (text, Transport::Udp),
    };
    let bare_v6 = place.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !bare_v6 && !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port > 0);
            (host, Some(port.ok_or_else(|| format!("\"{place}\" has no port after its colon"))?))
        }
        _ => (place, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    if host.is_empty() || !(v6 || host.chars().all(known)) {
        return Err(format!("\"{host}\" is no host"));
    }
    Ok(TrunkAddress { host: host.to_owned(), port, transport })
}

fn register(table: &Table<'_>, around: &Around<'_>) -> Option<Register> {
    let username = table.require("username", "write username = \"clinic\"").and_then(|value| value.words());
    let password = table.require("password", "write password = { file = \"carrier.password\" }");
    let password = password.and_then(|value| around.secrets.read(&value));
    let auth_username = table.get("auth_username").and_then(|value| value.words().map(str::to_owned));
    let expires = table.get("expires").and_then(|value| value.duration(MINUTE..=24 * HOUR));
    table.finish();
    Some(Register {
        username: username?.to_owned(),
        password: password?,
        auth_username,
        expires: expires.unwrap_or(HOUR),
    })
}
