//! Prepares the files that the program serves. The files of Swagger UI come out of the package that
//! contains them, so that the repository contains no third-party files. The dashboard's files are
//! compressed, and a hash of them all becomes a part of their paths.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::Write as _,
    fs,
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const SWAGGER_UI: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];
const DASHBOARD: &str = "assets/ui";
/// The text of the shell that stands for the hash.
const HASH_PLACEHOLDER: &str = "{hash}";

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={DASHBOARD}");
    let out = std::env::var_os("OUT_DIR").ok_or("cargo says where to write")?;
    let out = Path::new(&out);
    extract_swagger_ui(out)?;
    pack_dashboard(out)
}

fn extract_swagger_ui(out: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in SWAGGER_UI {
        let spec = format!("/dist/{name}");
        let path = archive.file_names().filter_map(Result::ok).find(|p| p.ends_with(&spec));
        let path = path.ok_or_else(|| format!("Swagger UI has no {name}"))?.into_owned();
        let mut text = Vec::new();
        archive.by_name(&path)?.read_to_end(&mut text)?;
        write_gzip(&out.join(format!("{name}.gz")), &text)?;
    }
    Ok(())
}

/// Compresses the dashboard's files, and writes the table of them for `handlers/ui.rs`.
fn pack_dashboard(out: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    read_folder(Path::new(DASHBOARD), "", &mut files)?;
    let mut hasher = Sha256::new();
    for (name, bytes) in &files {
        hasher.update(format!("{name} {}\n", bytes.len()));
        hasher.update(bytes);
    }
    let hash = hasher
        .finalize()
        .iter()
        .take(6)
        .fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
    let shell = files.remove("index.html").ok_or("the dashboard has no index.html")?;
    let shell = String::from_utf8(shell)?.replace(HASH_PLACEHOLDER, &hash);
    fs::create_dir_all(out.join("ui"))?;
    write_gzip(&out.join("ui/index.html.gz"), shell.as_bytes())?;
    let include =
        |stored: &str| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/ui/{stored}\"))");
    let mut table = format!("const BUILD: &str = \"{hash}\";\n");
    writeln!(table, "static SHELL: Asset = Asset::gzip(HTML, {});", include("index.html.gz"))?;
    writeln!(table, "static FILES: [(&str, Asset); {}] = [", files.len())?;
    for (name, bytes) in &files {
        let content_type = match Path::new(name).extension().and_then(|it| it.to_str()) {
            Some("js") => "SCRIPT",
            Some("css") => "STYLE",
            Some("svg") => "IMAGE",
            _ => return Err(format!("{name} has no known media type").into()),
        };
        let stored = format!("{}.gz", name.replace('/', "."));
        write_gzip(&out.join("ui").join(&stored), bytes)?;
        writeln!(table, "    (\"{name}\", Asset::gzip({content_type}, {})),", include(&stored))?;
    }
    table.push_str("];\n");
    Ok(fs::write(out.join("ui_files.rs"), table)?)
}

/// Adds the files below a folder to `files`, by their paths below the first folder.
fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a name is not UTF-8")?;
        let name = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn write_gzip(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut encoder = GzEncoder::new(fs::File::create(path)?, Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()?;
    Ok(())
}
