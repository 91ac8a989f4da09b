//! The image, built from the `Dockerfile` by buildah with the binary of the tests in place of a release, on a base made
//! of this machine's own C library: no registry is asked, nothing is compiled.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::authority::AUTHORITY;

const BASE: &str = "localhost/base";
/// What the binary may need beside the kernel: the final image has no more.
const LIBRARIES: [&str; 3] = ["libc.so.6", "libgcc_s.so.1", "libm.so.6"];

/// An image and its files.
pub struct Image {
    /// What it says of itself, in the form of Docker: user, entry point and so on.
    pub config: Value,
    /// The digests of its layers, from the base up.
    pub layers: Vec<String>,
    /// Its files, from a container that was made of it.
    pub files: PathBuf,
    /// The files of its base.
    pub base: PathBuf,
}

/// The image of this test run. All tests share it; none changes it.
pub static IMAGE: LazyLock<Image> = LazyLock::new(|| {
    let builder = Builder::new("shared");
    builder.build(&[]);
    builder.image()
});

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// buildah with a storage of its own.
pub struct Builder {
    folder: PathBuf,
}

impl Builder {
    /// An empty storage with the base in it. What an earlier run left under this name is removed.
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("container").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir_all(&folder).unwrap();
        let builder = Self { folder };
        builder.make_base();
        builder.make_release();
        builder
    }

    /// Runs buildah; gives its stdout without the end of the line.
    pub fn buildah(&self, arguments: &[&str]) -> String {
        let output = Command::new("buildah")
            .args(["--storage-driver", "vfs"])
            .arg("--root")
            .arg(self.folder.join("storage"))
            .arg("--runroot")
            .arg(self.folder.join("run"))
            .args(arguments)
            .current_dir(root())
            .output()
            .expect("buildah, which `make container` asks for");
        assert!(
            output.status.success(),
            "buildah {arguments:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Builds the image as `localhost/image`, with further arguments of buildah.
    pub fn build(&self, more: &[&str]) {
        let release = format!("build={}", self.folder.join("release").display());
        let base = format!("RUNTIME_IMAGE={BASE}");
        let version = concat!("VERSION=", env!("CARGO_PKG_VERSION"));
        let mut arguments = vec!["bud", "--isolation", "chroot", "--format", "docker", "--timestamp", "0"];
        arguments.extend(["--pull-never", "--build-context", &release]);
        arguments.extend(["--build-arg", &base, "--build-arg", version, "--build-arg", "REVISION=0123abc"]);
        arguments.extend(more);
        arguments.extend(["--tag", "localhost/image", "."]);
        self.buildah(&arguments);
    }

    /// The image that was built last.
    pub fn image(&self) -> Image {
        let text = self.buildah(&["inspect", "--type", "image", "localhost/image"]);
        let told: Value = serde_json::from_str(&text).unwrap();
        let layers = told["OCIv1"]["rootfs"]["diff_ids"].as_array().unwrap();
        Image {
            config: told["Docker"]["config"].clone(),
            layers: layers.iter().map(|layer| layer.as_str().unwrap().to_owned()).collect(),
            files: self.files_of("localhost/image"),
            base: self.folder.join("base"),
        }
    }

    /// The files of a container of an image.
    pub fn files_of(&self, image: &str) -> PathBuf {
        let container = self.buildah(&["from", "--pull-never", image]);
        self.buildah(&["mount", &container]).into()
    }

    /// The base: the C library, the loader, the certificate of an authority where Debian keeps them, and no program.
    fn make_base(&self) {
        let base = self.folder.join("base");
        let told = Command::new("ldd").arg(env!("CARGO_BIN_EXE_aws-flowlogs")).output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        let mut found = BTreeSet::new();
        for line in told.lines().filter(|line| line.contains('/')) {
            let (name, path) = line.trim().split_once(" => ").unwrap_or(("", line.trim()));
            let path = Path::new(path.split(' ').next().unwrap());
            copy(path, &base.join(path.strip_prefix("/").unwrap()));
            found.insert(name.to_owned());
        }
        // The loader has no name, only a path.
        assert!(found.remove(""), "{told}");
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), LIBRARIES, "what the binary needs");
        let certificates = base.join("etc/ssl/certs/ca-certificates.crt");
        std::fs::create_dir_all(certificates.parent().unwrap()).unwrap();
        std::fs::write(&certificates, &AUTHORITY.certificate).unwrap();
        let recipe = self.folder.join("Dockerfile.base");
        std::fs::write(&recipe, "FROM scratch\nCOPY . /\n").unwrap();
        let (recipe, base) = (recipe.to_str().unwrap(), base.to_str().unwrap());
        self.buildah(&["bud", "--isolation", "chroot", "--timestamp", "0", "-f", recipe, "-t", BASE, base]);
    }

    /// What the stage that compiles would leave. Without symbols, as a release is.
    fn make_release(&self) {
        let binary = self.folder.join("release/out/aws-flowlogs");
        std::fs::create_dir_all(binary.parent().unwrap()).unwrap();
        let stripped =
            Command::new("strip").arg("-o").arg(&binary).arg(env!("CARGO_BIN_EXE_aws-flowlogs")).status();
        assert!(stripped.unwrap().success());
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// The paths of all files below a folder, relative to it, in order, each with its mode, e.g. `app/logo.svg 644`.
pub fn listing(folder: &Path) -> BTreeSet<String> {
    let mut listing = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let details = path.symlink_metadata().unwrap();
            if details.is_dir() {
                folders.push(path);
            } else {
                let mode = details.permissions().mode() & 0o7777;
                listing.insert(format!("{} {mode:o}", path.strip_prefix(folder).unwrap().display()));
            }
        }
    }
    listing
}
