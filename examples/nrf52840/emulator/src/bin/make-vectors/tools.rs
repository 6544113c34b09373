//! The assembler and the emulator that tell what is right.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::case::Case;

/// A folder of temporary files, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("make-vectors-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// The halfwords of each case.
    pub(crate) fn assemble_cases(&self, cases: &[Case]) -> Result<Vec<Vec<u16>>> {
        let mut source =
            String::from(".syntax unified\n.cpu cortex-m4\n.fpu vfpv4-d16\n.thumb\n.balignw 16, 0xDE00\n");
        for case in cases {
            source.push_str(&case.text.replace(';', "\n"));
            source.push_str("\n.balignw 16, 0xDE00\n");
        }
        let path = self.0.join("cases.s");
        std::fs::write(&path, source)?;
        let image = std::fs::read(self.link(&path, "cases")?.with_extension("bin"))?;
        let halves: Vec<u16> =
            image.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let blocks = halves.chunks_exact(8);
        if blocks.len() != cases.len() {
            return Err("a case is longer than sixteen bytes".into());
        }
        let used = |block: &[u16]| {
            let end = block.iter().rposition(|half| *half != 0xDE00).map_or(0, |last| last + 1);
            block[..end].to_vec()
        };
        Ok(blocks.map(used).collect())
    }

    /// Assembles and links at address 0: an ELF file, and beside it a binary of the same name.
    pub(crate) fn link(&self, source: impl AsRef<Path>, name: &str) -> Result<PathBuf> {
        let (object, elf) = (self.0.join(format!("{name}.o")), self.0.join(format!("{name}.elf")));
        let tool = |tool: &str| Command::new(format!("arm-none-eabi-{tool}"));
        succeed(tool("as").arg("-o").arg(&object).arg(source.as_ref()))?;
        succeed(tool("ld").args(["-Ttext=0", "-e", "0", "-o"]).arg(&elf).arg(&object))?;
        succeed(tool("objcopy").args(["-O", "binary"]).arg(&elf).arg(elf.with_extension("bin")))?;
        Ok(elf)
    }

    /// Runs a program with `input` at 0x2001_0000; it writes its results to a file.
    pub(crate) fn run(&self, image: &Path, input: Option<&[u32]>) -> Result<Vec<u32>> {
        let mut command = Command::new("qemu-system-arm");
        command.args(["-machine", "mps2-an386", "-display", "none", "-serial", "none", "-monitor", "none"]);
        command.args(["-semihosting-config", "enable=on,target=native"]);
        command.arg("-kernel").arg(image).current_dir(&self.0);
        if let Some(words) = input {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            std::fs::write(self.0.join("input.bin"), bytes)?;
            command.args(["-device", "loader,file=input.bin,addr=0x20010000"]);
        }
        succeed(&mut command)?;
        let bytes = std::fs::read(self.0.join("results.bin"))?;
        let words =
            bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        Ok(words.collect())
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
