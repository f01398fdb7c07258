//! The API keys that `claviger dev` leaves in the data directory, for the command line and for workers on this machine.

use claviger_core::{Bounds, Role};
use claviger_engine::{
    Engine,
    access::{DEFAULT_ENVIRONMENT, NewApiKey, system_caller},
};

use crate::{
    config::reason,
    data_dir::DataDir,
    failure::{Exit, Failure},
    private_file::{self, Others},
};

/// A key file and what its key may do.
struct KeyFile {
    name: &'static str,
    role: Role,
}

const FILES: [KeyFile; 2] =
    [KeyFile { name: "admin.key", role: Role::Admin }, KeyFile { name: "runtime.key", role: Role::Runtime }];

/// Makes the keys that are not there or no longer accepted.
///
/// # Errors
/// What the engine or the system says.
pub(super) async fn write(engine: &Engine, data: &DataDir) -> Result<(), Failure> {
    for file in &FILES {
        if !is_accepted(engine, data, file)? {
            make(engine, data, file).await?;
        }
    }
    Ok(())
}

fn is_accepted(engine: &Engine, data: &DataDir, file: &KeyFile) -> Result<bool, Failure> {
    let path = data.file(file.name);
    if !path.exists() {
        return Ok(false);
    }
    let text = private_file::read(&path, Others::Nobody)?;
    let text = std::str::from_utf8(&text).unwrap_or_default().trim_end_matches('\n');
    Ok(engine.access().authenticate(text).is_ok_and(|caller| caller.role == file.role))
}

async fn make(engine: &Engine, data: &DataDir, file: &KeyFile) -> Result<(), Failure> {
    let is_runtime = file.role == Role::Runtime;
    let environment = is_runtime.then(|| DEFAULT_ENVIRONMENT.parse().ok()).flatten();
    let secrets = if is_runtime { vec!["*".to_owned()] } else { Vec::new() };
    let new = NewApiKey {
        role: file.role,
        environment,
        description: Some(format!("made by `claviger dev`, in {}", file.name)),
        bounds: Bounds { secrets, ..Bounds::default() },
        ttl: None,
    };
    let (_, text) = engine.access().create_api_key(&system_caller(), new).await?;
    let path = data.file(file.name);
    // With a line break, as every text file; whoever reads it leaves that out.
    let line = zeroize::Zeroizing::new(format!("{}\n", text.as_str()));
    private_file::write(&path, line.as_bytes()).map_err(|error| {
        Failure::plain(Exit::Other, format!("`{}` cannot be written: {}", path.display(), reason(&error)))
    })
}
