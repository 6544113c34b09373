//! PPI (product specification, "PPI - Programmable peripheral interconnect"): channels from an event to a task, and to a
//! second one. The channels wired in silicon, 20 to 31, are not modelled.

const CHANNELS: usize = 20;
const GROUPS: usize = 6;

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    event: u32,
    task: u32,
    fork: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ppi {
    enabled: u32,
    channels: [Channel; CHANNELS],
    groups: [u32; GROUPS],
}

impl Ppi {
    /// Whether any event could lead anywhere.
    pub(super) const fn is_idle(&self) -> bool {
        self.enabled == 0
    }

    /// The tasks an event triggers, by their addresses.
    pub(super) fn tasks(&self, event: u32) -> Vec<u32> {
        let enabled = |index: usize| self.enabled >> index & 1 != 0;
        let channels = self.channels.iter().enumerate();
        let wired = channels.filter(|(index, channel)| enabled(*index) && channel.event == event);
        wired.flat_map(|(_, channel)| [channel.task, channel.fork]).filter(|task| *task != 0).collect()
    }

    fn register(&mut self, offset: u32) -> Option<&mut u32> {
        let channel = |from: u32, size: u32| ((offset - from) / size) as usize;
        match offset {
            0x510..0x5B0 => {
                let channel = &mut self.channels[channel(0x510, 8)];
                Some(if offset & 4 == 0 { &mut channel.event } else { &mut channel.task })
            }
            0x800..0x818 => Some(&mut self.groups[channel(0x800, 4)]),
            0x910..0x960 => Some(&mut self.channels[channel(0x910, 4)].fork),
            _ => None,
        }
    }

    pub(super) fn read(&mut self, offset: u32) -> Option<u32> {
        match offset {
            0x500 | 0x504 | 0x508 => Some(self.enabled),
            _ => self.register(offset).map(|register| *register),
        }
    }

    pub(super) fn write(&mut self, offset: u32, value: u32) -> Option<()> {
        match offset {
            // CHG[n].EN and CHG[n].DIS: tasks.
            0x00..0x30 => {
                let group = self.groups[offset as usize / 8];
                match (value & 1, offset & 4) {
                    (0, _) => {}
                    (_, 0) => self.enabled |= group,
                    _ => self.enabled &= !group,
                }
            }
            0x500 => self.enabled = value,
            0x504 => self.enabled |= value,
            0x508 => self.enabled &= !value,
            _ => *self.register(offset)? = value,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_leads_to_the_tasks_of_every_enabled_channel() {
        let mut ppi = Ppi::default();
        for (offset, value) in [(0x510, 0x4000_8140), (0x514, 0x4000_2008), (0x910, 0x4000_9000)] {
            ppi.write(offset, value);
        }
        assert_eq!(ppi.tasks(0x4000_8140), []);
        ppi.write(0x800, 1);
        ppi.write(0x00, 1);
        assert_eq!(ppi.tasks(0x4000_8140), [0x4000_2008, 0x4000_9000]);
        assert_eq!(ppi.tasks(0x4000_8144), []);
        ppi.write(0x04, 1);
        assert!(ppi.is_idle());
        assert_eq!((ppi.read(0x514), ppi.read(0x5B0)), (Some(0x4000_2008), None));
    }
}
