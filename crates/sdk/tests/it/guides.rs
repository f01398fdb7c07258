//! What the guides show in Rust: compiled here, and compared with the page.

use std::{fs, path::Path};

use claviger::{Error, HandlerError};

/// What a reader brings along.
async fn tell(_token: &str, _order: &serde_json::Value, _space: Option<&str>) -> Result<(), HandlerError> {
    Ok(())
}

/// Compiles, and nobody runs it.
#[expect(dead_code, reason = "it is there to be compiled")]
#[rustfmt::skip]
async fn listeners() -> Result<(), Error> {
    // docs/guides/listeners.md
    use claviger::{Listener, Worker};

    let orders = Listener::new("orders").on("order:created", |event| async move {
        let token = event.secrets("SLACK_TOKEN").await?;
        tell(token.expose()?, &event.data["order"], event.space.as_deref()).await?;
        Ok(())
    });

    Worker::new().listener(orders).start().await?;
    // end
    Ok(())
}

/// The programs of this file, each from its page's name to its end, without their indentation.
fn compiled() -> Vec<String> {
    let programs = include_str!("guides.rs").split("\n    // docs/").skip(1);
    let program = |text: &str| {
        let lines = text.lines().skip(1).take_while(|line| *line != "    // end");
        lines.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
    };
    programs.map(program).collect()
}

/// The programs in Rust that a page shows.
fn shown(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let blocks = text.split("```rust\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn what_the_guides_show_compiles() {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    let mut pages: Vec<_> = fs::read_dir(guides).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let shown: Vec<String> = pages.iter().flat_map(|page| shown(page)).collect();
    assert!(!shown.is_empty());
    assert_eq!(shown, compiled());
}
