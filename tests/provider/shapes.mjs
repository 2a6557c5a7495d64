// The shapes of a Databricks host: where its OpenID provider is mounted, and what it says of itself.

export const ACCOUNT = '00000000-0000-0000-0000-000000000042';
export const TENANT = '72f988bf-86f1-41af-91ab-2d7cd011db47';
/// What Entra calls every Azure Databricks workspace.
export const AZURE_APP = '2ff814a6-3304-4ab8-85cb-cd0e6f879c1d';

const workspace = { root: '/oidc', type: 'workspace', cloud: 'AWS' };
const account = { root: `/oidc/accounts/${ACCOUNT}`, type: 'account', cloud: 'AWS' };

const SHAPES = {
  workspace,
  gcp: { ...workspace, cloud: 'GCP' },
  azure: { ...workspace, cloud: 'AZURE', entra: true },
  account,
  // One address for an account and its workspaces; says where to look with a gap to fill in.
  unified: { ...account, type: 'unified', endpoint: '/oidc/accounts/{account_id}' },
};

/// The shape of that name, at this address.
export function shapeOf(name, url) {
  const shape = SHAPES[name];
  if (!shape) throw new TypeError(`no such shape: ${name}; there are ${Object.keys(SHAPES).join(', ')}`);
  const { root, type, cloud, endpoint = root, entra = false } = shape;
  const issuer = `${url}${root}`;
  const audiences = type === 'workspace' ? [`${issuer}/v1/token`] : [ACCOUNT];
  return {
    root,
    issuer,
    entra,
    audiences,
    config: {
      oidc_endpoint: `${url}${endpoint}`,
      ...(type === 'workspace' && { workspace_id: '4242424242424242' }),
      account_id: ACCOUNT,
      cloud,
      host_type: type,
      token_federation_default_oidc_audiences: audiences,
    },
  };
}
