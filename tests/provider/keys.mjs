// Pairs of keys, made as text and read back: some versions of Node hang for ever when the collector runs
// while a key is exported that the job that made it still holds.
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';

const AS_TEXT = {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
};

/// A pair of keys of that kind; see `generateKeyPairSync`.
export function keyPair(kind, options) {
  const { publicKey, privateKey } = generateKeyPairSync(kind, { ...options, ...AS_TEXT });
  return { publicKey: createPublicKey(publicKey), privateKey: createPrivateKey(privateKey) };
}
