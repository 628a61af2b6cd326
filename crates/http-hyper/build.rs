//! Extracts the files of Swagger UI from the package that contains them, so that the program
//! contains them compressed and the repository contains no third-party files.

use std::{
    error::Error,
    fs::File,
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").ok_or("cargo says where to write")?;
    let mut archive = zip::ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        let spec = format!("/dist/{name}");
        let path = archive.file_names().filter_map(Result::ok).find(|p| p.ends_with(&spec));
        let path = path.ok_or_else(|| format!("Swagger UI has no {name}"))?.into_owned();
        let mut text = Vec::new();
        archive.by_name(&path)?.read_to_end(&mut text)?;
        let file = File::create(Path::new(&out).join(format!("{name}.gz")))?;
        GzEncoder::new(file, Compression::best()).write_all(&text)?;
    }
    Ok(())
}
