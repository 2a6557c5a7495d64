// How Chromium is started here: as root in a closed network, so with no sandbox, and with nothing fetched on
// the browser's own account.
export const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
