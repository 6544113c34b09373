//! ACL (product specification, "ACL - Access control lists"): regions of flash that nobody reads, or writes and erases,
//! until the next reset. Registers take one write each; a region counts once all three of its own are set.

/// Regions there are.
const REGIONS: usize = 8;
const WRITE: u32 = 1 << 1;
const READ: u32 = 1 << 2;

#[derive(Clone, Copy, Debug, Default)]
struct Region {
    address: Option<u32>,
    size: Option<u32>,
    permissions: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Acl {
    regions: [Region; REGIONS],
    /// Some region forbids reading: asked at each read and fetch.
    pub(super) forbids_reading: bool,
}

impl Region {
    fn forbids(self, address: u32, permission: u32) -> bool {
        let (Some(start), Some(size), Some(permissions)) = (self.address, self.size, self.permissions) else {
            return false;
        };
        let aligned = start.is_multiple_of(super::flash::PAGE) && size != 0;
        aligned && permissions & permission != 0 && address.checked_sub(start).is_some_and(|at| at < size)
    }

    fn register(&mut self, offset: u32) -> Option<&mut Option<u32>> {
        match offset & 0xC {
            0 => Some(&mut self.address),
            4 => Some(&mut self.size),
            8 => Some(&mut self.permissions),
            _ => None,
        }
    }
}

impl Acl {
    fn register(&mut self, offset: u32) -> Option<&mut Option<u32>> {
        let index = offset.checked_sub(0x800)? as usize / 0x10;
        self.regions.get_mut(index)?.register(offset)
    }

    pub(super) fn read(&mut self, offset: u32) -> Option<u32> {
        self.register(offset).map(|register| register.unwrap_or(0))
    }

    /// Writes after the first change nothing.
    pub(super) fn write(&mut self, offset: u32, value: u32) -> Option<()> {
        let register = self.register(offset)?;
        register.get_or_insert(value);
        self.forbids_reading = self.regions.iter().any(|region| region.permissions.unwrap_or(0) & READ != 0);
        Some(())
    }

    pub(super) fn may_write(&self, address: u32) -> bool {
        !self.regions.iter().any(|region| region.forbids(address, WRITE))
    }

    pub(super) fn may_read(&self, address: u32) -> bool {
        !self.regions.iter().any(|region| region.forbids(address, READ))
    }

    /// Whether anything at all is protected from writing.
    pub(super) fn protects(&self) -> bool {
        (0..super::flash::PAGES).any(|page| !self.may_write(page * super::flash::PAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_counts_once_all_registers_are_set_and_only_the_first_write_does() {
        let mut acl = Acl::default();
        acl.write(0x810, 0x2000);
        acl.write(0x818, WRITE);
        assert!(acl.may_write(0x2000), "without a size");
        acl.write(0x814, 0x2000);
        let writable = [0x1FFF, 0x2000, 0x3FFF, 0x4000].map(|address| acl.may_write(address));
        assert_eq!(writable, [true, false, false, true]);
        acl.write(0x814, 0);
        acl.write(0x818, 0);
        assert!(!acl.may_write(0x2000), "written once");
        assert!(acl.may_read(0x2000) && !acl.forbids_reading);
        assert_eq!((acl.read(0x814), acl.read(0x81C)), (Some(0x2000), None));
    }

    #[test]
    fn a_region_that_does_not_start_at_a_page_protects_nothing() {
        let mut acl = Acl::default();
        for (offset, value) in [(0x800, 0x2004), (0x804, 0x1000), (0x808, WRITE | READ)] {
            acl.write(offset, value);
        }
        assert!(acl.may_write(0x2004) && acl.may_read(0x2004) && !acl.protects());
    }
}
