//! What `claviger dev` says at its start: where everything is, and the commands that find it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{
    config::{DEFAULT_DATA, DEFAULT_LISTEN},
    data_dir::DataDir,
    terminal,
};

/// Says it on standard error.
pub(super) fn say(data: &DataDir, address: SocketAddr) {
    terminal::say(text(&data.shown().to_string(), reachable(address)));
}

/// The text for a data directory, as it was named, and an address that this machine reaches.
fn text(data: &str, address: SocketAddr) -> String {
    let api = format!("http://{address}");
    let is_found = data == DEFAULT_DATA && address.ip().is_loopback();
    let found = if is_found { ", found by the command line in this directory" } else { "" };
    let command = first_command(data, address);
    let runtime_key = quoted(&format!("{data}/runtime.key"));
    format!(
        "
  API            {api}
  data           {data}
  admin key      {data}/admin.key{found}
  runtime key    {data}/runtime.key, for workers:

    export CLAVIGER_URL={api}
    export CLAVIGER_API_KEY=$(cat {runtime_key})

  Set a first secret in another terminal: {command}
"
    )
}

/// With what the command line does not find by itself. It uses the file of the admin key for a server on loopback only.
fn first_command(data: &str, address: SocketAddr) -> String {
    let mut command = "claviger secret set STRIPE_KEY".to_owned();
    if address != DEFAULT_LISTEN {
        command.push_str(&format!(" --url http://{address}"));
    }
    if !address.ip().is_loopback() {
        return format!("CLAVIGER_API_KEY=$(cat {}) {command}", quoted(&format!("{data}/admin.key")));
    }
    if data != DEFAULT_DATA {
        command.push_str(&format!(" --data-dir {}", quoted(data)));
    }
    command
}

/// Nobody can connect to the address that stands for all.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// One word for the shell.
fn quoted(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_exact_wherever_the_server_is() {
        for (data, address, command) in [
            (".claviger", "127.0.0.1:8080", "claviger secret set STRIPE_KEY\n"),
            (".claviger", "127.0.0.1:9000", "claviger secret set STRIPE_KEY --url http://127.0.0.1:9000\n"),
            ("try it", "0.0.0.0:8080", "claviger secret set STRIPE_KEY --data-dir 'try it'\n"),
            (
                "try",
                "192.0.2.1:8080",
                "CLAVIGER_API_KEY=$(cat try/admin.key) claviger secret set STRIPE_KEY --url http://192.0.2.1:8080\n",
            ),
        ] {
            let text = text(data, reachable(address.parse().unwrap()));
            assert!(text.ends_with(&format!("terminal: {command}")), "{text}");
        }
        assert!(text(".claviger", DEFAULT_LISTEN).contains("admin.key, found by the command line in this directory\n"));
        assert!(text("try", DEFAULT_LISTEN).contains("try/admin.key\n"));
    }
}
