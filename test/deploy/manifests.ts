/** The manifests of deploy/kubernetes as one list, as `kubectl apply -k deploy` would send them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../bin/lib/paths.ts';

/** Labels, or what selects them. */
export type Labels = Readonly<Record<string, string>>;

/** An object of Kubernetes; tests look into those of every kind. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own
  readonly spec?: any;
  readonly data?: Labels;
  readonly stringData?: Labels;
}

/** What deploy/kustomization.yaml says. */
export interface Kustomization {
  readonly resources: readonly string[];
  readonly images: readonly { readonly name: string; readonly newName: string; readonly newTag: string }[];
  readonly configMapGenerator: readonly { readonly name: string; readonly files: readonly string[] }[];
}

const DEPLOY = join(ROOT, 'deploy');

/** Reads it. */
export function readKustomization(): Kustomization {
  return Bun.YAML.parse(readFileSync(join(DEPLOY, 'kustomization.yaml'), 'utf8')) as Kustomization;
}

/** Every object of every file that it names, with the file. */
export function readManifests(): readonly (readonly [file: string, manifest: Manifest])[] {
  return readKustomization().resources.flatMap((file) => {
    const read = Bun.YAML.parse(readFileSync(join(DEPLOY, file), 'utf8')) as Manifest | Manifest[];
    return (Array.isArray(read) ? read : [read]).map((manifest) => [file, manifest] as const);
  });
}
