//! The key in the token: found or made, read, used.

use alloc::vec;
use alloc::vec::Vec;

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use ota_verify::sign::Signature;
use ota_verify::{PublicKey, Sha256, Tbs};

use super::error::explain;
use super::{Pkcs11Config, Pkcs11Error, TokenKeyType};

/// DER of the object identifier 1.3.101.112, id-Ed25519 (RFC 8410).
const ED25519_OID: [u8; 5] = [0x06, 0x03, 0x2B, 0x65, 0x70];
/// DER of the object identifier 1.2.840.10045.3.1.7, secp256r1 (RFC 5480).
const P256_OID: [u8; 10] = [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
/// Length of the `CKA_ID` that ties the halves of a new key together, bytes.
const ID_LEN: u32 = 16;

impl TokenKeyType {
    pub(super) const fn signing(self) -> (MechanismType, &'static str) {
        match self {
            Self::Ed25519 => (MechanismType::EDDSA, "CKM_EDDSA"),
            Self::P256 => (MechanismType::ECDSA, "CKM_ECDSA"),
        }
    }

    pub(super) const fn generating(self) -> (MechanismType, &'static str) {
        match self {
            Self::Ed25519 => (MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, "CKM_EC_EDWARDS_KEY_PAIR_GEN"),
            Self::P256 => (MechanismType::ECC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN"),
        }
    }

    const fn key_type(self) -> KeyType {
        match self {
            Self::Ed25519 => KeyType::EC_EDWARDS,
            Self::P256 => KeyType::EC,
        }
    }

    fn parameters(self) -> Vec<u8> {
        match self {
            Self::Ed25519 => ED25519_OID.to_vec(),
            Self::P256 => P256_OID.to_vec(),
        }
    }
}

/// A private key in the token and its public half.
pub(super) struct Key {
    private: ObjectHandle,
    kind: TokenKeyType,
    public: PublicKey,
}

impl Key {
    pub(super) fn kind(&self) -> TokenKeyType {
        self.kind
    }

    pub(super) fn public(&self) -> PublicKey {
        self.public
    }

    /// The one private key with this label, and of this type if one is asked for.
    pub(super) fn find(session: &Session, config: &Pkcs11Config) -> Result<Self, Pkcs11Error> {
        let kinds: &[TokenKeyType] = match config.key_type {
            Some(TokenKeyType::Ed25519) => &[TokenKeyType::Ed25519],
            Some(TokenKeyType::P256) => &[TokenKeyType::P256],
            None => &[TokenKeyType::Ed25519, TokenKeyType::P256],
        };
        let mut found = Vec::new();
        for kind in kinds {
            let template = [
                Attribute::Class(ObjectClass::PRIVATE_KEY),
                Attribute::KeyType(kind.key_type()),
                Attribute::Label(config.key.as_bytes().to_vec()),
            ];
            found.extend(find(session, &template)?.into_iter().map(|handle| (*kind, handle)));
        }
        match found[..] {
            [] => Err(Pkcs11Error::NoKey { token: config.token.clone(), key: config.key.clone() }),
            [(kind, private)] => Self::read(session, config, kind, private),
            _ => Err(Pkcs11Error::SeveralKeys(config.key.clone())),
        }
    }

    fn read(
        session: &Session,
        config: &Pkcs11Config,
        kind: TokenKeyType,
        private: ObjectHandle,
    ) -> Result<Self, Pkcs11Error> {
        let wanted = [AttributeType::Id, AttributeType::Sensitive, AttributeType::Extractable];
        let mut id = Vec::new();
        for attribute in attributes(session, private, &wanted)? {
            match attribute {
                Attribute::Id(bytes) => id = bytes,
                Attribute::Sensitive(false) | Attribute::Extractable(true) => {
                    return Err(Pkcs11Error::Exposed(config.key.clone()));
                }
                _ => {}
            }
        }
        // A public key left over from a generation that was cut off has another id.
        let template = [
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::KeyType(kind.key_type()),
            Attribute::Label(config.key.as_bytes().to_vec()),
            Attribute::Id(id),
        ];
        let public = find(session, &template)?;
        let [public] = public[..] else { return Err(Pkcs11Error::NoPublicKey(config.key.clone())) };
        Ok(Self { private, kind, public: public_key(session, public, kind)? })
    }

    /// Makes a key pair that stays in the token.
    pub(super) fn generate(session: &Session, label: &str, kind: TokenKeyType) -> Result<(), Pkcs11Error> {
        let doing = "making the key";
        let id = session.generate_random_vec(ID_LEN).map_err(|error| explain(&error, doing, ""))?;
        let name = |more: Vec<Attribute>| {
            let mut template = vec![Attribute::Token(true), Attribute::Label(label.as_bytes().to_vec())];
            template.push(Attribute::Id(id.clone()));
            template.extend(more);
            template
        };
        let public = name(vec![Attribute::Verify(true), Attribute::EcParams(kind.parameters())]);
        let private = name(vec![
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            // Some tokens allow these unless told otherwise.
            Attribute::Decrypt(false),
            Attribute::Unwrap(false),
            Attribute::Derive(false),
        ]);
        let mechanism = match kind {
            TokenKeyType::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
            TokenKeyType::P256 => Mechanism::EccKeyPairGen,
        };
        let made = session.generate_key_pair(&mechanism, &public, &private);
        made.map(|_| ()).map_err(|error| explain(&error, doing, kind.generating().1))
    }

    pub(super) fn sign(&self, session: &Session, tbs: &Tbs) -> Result<Signature, Pkcs11Error> {
        let digest;
        let (mechanism, message): (_, &[u8]) = match self.kind {
            TokenKeyType::Ed25519 => {
                (Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)), tbs.as_bytes())
            }
            TokenKeyType::P256 => {
                digest = Sha256::of(&[tbs.as_bytes()]);
                (Mechanism::Ecdsa, digest.as_bytes())
            }
        };
        let signed = session.sign(&mechanism, self.private, message);
        let signed = signed.map_err(|error| explain(&error, "signing", self.kind.signing().1))?;
        let bytes = match self.kind {
            TokenKeyType::Ed25519 if signed.len() == 64 => signed,
            TokenKeyType::Ed25519 => return Err(Pkcs11Error::Malformed("signature")),
            TokenKeyType::P256 => low_s(&signed)?,
        };
        Signature::new(&bytes).map_err(|_| Pkcs11Error::Malformed("signature"))
    }
}

/// Tokens emit either of the two good values of s; we publish the low one.
fn low_s(signature: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
    let parsed = p256::ecdsa::Signature::from_slice(signature);
    parsed.map(|good| good.normalize_s().to_bytes().to_vec()).map_err(|_| Pkcs11Error::Malformed("signature"))
}

fn public_key(session: &Session, handle: ObjectHandle, kind: TokenKeyType) -> Result<PublicKey, Pkcs11Error> {
    let found = attributes(session, handle, &[AttributeType::EcPoint, AttributeType::EcParams])?;
    let mut point = None;
    for attribute in found {
        match attribute {
            // Another curve of the same family.
            Attribute::EcParams(curve) if kind == TokenKeyType::P256 && curve != P256_OID => {
                return Err(Pkcs11Error::OtherCurve);
            }
            Attribute::EcPoint(bytes) => point = parse_point(&bytes, kind),
            _ => {}
        }
    }
    point.ok_or(Pkcs11Error::Malformed("public key"))
}

/// Tokens wrap the point in an OCTET STRING (PKCS#11 2.40), in a BIT STRING (drafts of 3.0), or not at all.
fn parse_point(bytes: &[u8], kind: TokenKeyType) -> Option<PublicKey> {
    match kind {
        TokenKeyType::Ed25519 => {
            let point = match bytes {
                [0x04, 0x20, point @ ..] | [0x03, 0x21, 0x00, point @ ..] if point.len() == 32 => point,
                point => point,
            };
            Some(PublicKey::ed25519(point.try_into().ok()?))
        }
        TokenKeyType::P256 => {
            let point = match bytes {
                [0x04, 0x41, point @ ..] | [0x03, 0x42, 0x00, point @ ..] if point.len() == 65 => point,
                point => point,
            };
            Some(PublicKey::p256(point.try_into().ok()?)).filter(|_| point.first() == Some(&0x04))
        }
    }
}

fn find(session: &Session, template: &[Attribute]) -> Result<Vec<ObjectHandle>, Pkcs11Error> {
    session.find_objects(template).map_err(|error| explain(&error, "looking for the key", ""))
}

fn attributes(
    session: &Session,
    handle: ObjectHandle,
    wanted: &[AttributeType],
) -> Result<Vec<Attribute>, Pkcs11Error> {
    session
        .get_attributes(handle, wanted)
        .map_err(|error| explain(&error, "reading the key's attributes", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_wrapped_or_bare_and_refused_in_any_other_shape() {
        let (ed25519, p256) = ([7u8; 32], [4u8; 65]);
        let wrapped = |head: &[u8], point: &[u8]| [head, point].concat();
        for bytes in [ed25519.to_vec(), wrapped(&[4, 0x20], &ed25519), wrapped(&[3, 0x21, 0], &ed25519)] {
            assert_eq!(parse_point(&bytes, TokenKeyType::Ed25519), Some(PublicKey::ed25519(ed25519)));
            assert_eq!(parse_point(&bytes, TokenKeyType::P256), None);
        }
        for bytes in [p256.to_vec(), wrapped(&[4, 0x41], &p256), wrapped(&[3, 0x42, 0], &p256)] {
            assert_eq!(parse_point(&bytes, TokenKeyType::P256), Some(PublicKey::p256(p256)));
            assert_eq!(parse_point(&bytes, TokenKeyType::Ed25519), None);
        }
        assert_eq!(parse_point(&[2; 65], TokenKeyType::P256), None, "not the uncompressed form");
        assert_eq!(parse_point(&[], TokenKeyType::P256), None);
    }

    #[test]
    fn high_s_is_made_low_and_garbage_is_no_signature() {
        use p256::ecdsa::signature::hazmat::PrehashSigner;
        let key = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
        let signature: p256::ecdsa::Signature = key.sign_prehash(&[1; 32]).unwrap();
        let (r, s) = signature.normalize_s().split_scalars();
        let high = p256::ecdsa::Signature::from_scalars(r, -*s).unwrap();
        assert_eq!(low_s(&high.to_bytes()).unwrap(), signature.normalize_s().to_bytes().to_vec());
        assert_eq!(low_s(&[0; 64]), Err(Pkcs11Error::Malformed("signature")));
        assert_eq!(low_s(&[1; 63]), Err(Pkcs11Error::Malformed("signature")));
    }
}
