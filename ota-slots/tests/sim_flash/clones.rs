//! Copies of a flash.

use super::*;

#[test]
fn clone_and_original_lead_their_own_lives() {
    let mut flash = words(0xFF);
    flash.write(0, &[0x5A; 8]).unwrap();
    let mut other = flash.clone();
    other.write(8, &[1; 4]).unwrap();
    flash.write(8, &[2; 4]).unwrap();
    other.erase(1024, 2048).unwrap();
    cut_next(&mut flash, CutMode::Marginal, |flash| flash.erase(0, 1024));
    assert_eq!(other.bytes_in(0..12), [0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 1, 1, 1, 1]);
    assert!((0..20).all(|_| read(&mut other, 0) == [0x5A; 8]));
    other.write(0, &[0; 4]).unwrap();
    other.erase(0, 1024).unwrap();
    flash.power_on();
    assert_eq!(flash.bytes_in(0..12), [0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 2, 2, 2, 2]);
}

#[test]
fn clone_has_the_damage_of_the_original() {
    let mut flash = words(0xFF);
    flash.write(0, &[0x5A; 8]).unwrap();
    flash.write(1024, &[0x5A; 4]).unwrap();
    flash.stick(0);
    flash.stick_page(1024);
    let mut other = flash.clone();
    other.erase(0, 2048).unwrap();
    assert_eq!(other.bytes_in(0..8), [0x5A, 0x5A, 0x5A, 0x5A, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!((other.bytes_in(1024..1028), flash.bytes_in(4..8)), (vec![0x5A; 4], vec![0x5A; 4]));
}

#[test]
fn flash_can_move_to_another_thread() {
    fn sendable<T: Send + Sync>(_: &T) {}
    sendable(&words(0xFF));
}
