/**
 * deploy/kubernetes, which no cluster runs here: against the schemas of Kubernetes, and what they do not know: that names
 * and labels which must fit together do, and that what probes, autoscalers and balancers ask for is what the server has.
 */
import { afterAll, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../bin/lib/paths.ts';
import { locateSchemas } from '../../bin/lib/schemas.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { readConfig, SERVICES } from '../../src/config.ts';
import { TIMES } from '../../src/protocol/limits.ts';
import { containerOf, imageEnvironment, readCompose } from './compose.ts';
import { type Labels, type Manifest, readKustomization, readManifests } from './manifests.ts';

const schemas = await locateSchemas(false);
const manifests = readManifests();
const all = manifests.map(([, manifest]) => manifest);
const ofKind = (...kinds: string[]): Manifest[] => all.filter(({ kind }) => kinds.includes(kind));
const workloads = ofKind('Deployment', 'StatefulSet');
const servers = workloads.filter(({ metadata }) => metadata.name !== 'balancer');
const container = ({ spec }: Manifest) => spec.template.spec.containers[0];
const nameOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;

const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);
/** Those whose pods have these labels. */
const selected = (selector: Labels): string[] =>
  workloads.filter(({ spec }) => selects(selector, spec.template.metadata.labels)).map(nameOf);

/** Names of a container's variables with their values, those of ConfigMap and Secret among them. */
function environmentOf(manifest: Manifest): Record<string, string> {
  const { env = [], envFrom = [] } = container(manifest);
  const shared = envFrom.flatMap((from: Record<string, { name: string }>) =>
    Object.entries(from).flatMap(([kind, { name }]) => {
      const source = ofKind(kind === 'secretRef' ? 'Secret' : 'ConfigMap').find(
        ({ metadata }) => metadata.name === name,
      );
      expect([name, source !== undefined]).toEqual([name, true]);
      return Object.entries(source?.data ?? source?.stringData ?? {});
    }),
  );
  const own = env.map(({ name, value }: { name: string; value?: string }) => [name, value ?? 'a-name']);
  return Object.fromEntries([...shared, ...own]);
}

describe.skipIf(schemas.path === null)('the schemas of Kubernetes', () => {
  const models = join(schemas.path ?? '', 'node_modules/kubernetes-models');
  const check_file = join(schemas.path ?? '', `check-${process.pid}.ts`);
  afterAll(() => rmSync(check_file, { force: true }));

  test.each(manifests.map(([file, manifest]) => [`${nameOf(manifest)} (${file})`, manifest] as const))(
    'take the %s',
    async (_, manifest) => {
      const { apiVersion, kind } = manifest;
      const model = await import(join(models, `${apiVersion}/${kind}.js`));
      expect(() => new model[kind](manifest).validate()).not.toThrow();
    },
  );

  test('know every field: the compiler finds none that is misspelt', async () => {
    const typed = (manifest: Manifest, i: number): string => {
      const { apiVersion, kind } = manifest;
      return `import type { I${kind} as T${i} } from 'kubernetes-models/${apiVersion}/${kind}';\nexport const m${i}: T${i} = ${JSON.stringify(manifest)};\n`;
    };
    const compile = async (code: string): Promise<string> => {
      writeFileSync(check_file, code);
      const options = [
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        '--ignoreConfig',
        '--module',
        'esnext',
        '--moduleResolution',
        'bundler',
        '--types',
        '',
      ];
      const cmd = [process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), ...options, check_file];
      return await new Response(Bun.spawn(cmd, { cwd: schemas.path ?? '' }).stdout).text();
    };
    expect(await compile(all.map(typed).join(''))).toBe('');
    const misspelt = JSON.parse(
      JSON.stringify(workloads[0]).replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem'),
    );
    expect(await compile(typed(misspelt, 0))).toContain('readOnlyRootFileSystem');
  }, 60_000);
});

test('every file is applied, and everything but the namespace lies in it', () => {
  const files = readdirSync(join(ROOT, 'deploy/kubernetes')).map((file) => `kubernetes/${file}`);
  expect([...readKustomization().resources].sort()).toEqual(files.sort());
  for (const manifest of all)
    expect([nameOf(manifest), manifest.metadata.namespace]).toEqual([
      nameOf(manifest),
      manifest.kind === 'Namespace' ? undefined : 'concord',
    ]);
});

test('the secret is a template: it has no values, and without them the server refuses to start', () => {
  for (const { stringData = {} } of ofKind('Secret'))
    for (const [key, value] of Object.entries(stringData)) expect([key, value]).toEqual([key, '']);
  const [users] = servers;
  if (users !== undefined)
    expect(() => readConfig({ ...imageEnvironment(), ...environmentOf(users) })).toThrow(/DATABASE_URL|JWT_SECRET/);
});

test('selectors select the pods of their own workload, and no others', () => {
  for (const workload of workloads) expect(selected(workload.spec.selector.matchLabels)).toEqual([nameOf(workload)]);
  for (const service of ofKind('Service'))
    expect(selected(service.spec.selector).map((name) => name.split(' ')[1])).toEqual([service.metadata.name]);
  const guarded = ofKind('PodDisruptionBudget').flatMap(({ spec }) => selected(spec.selector.matchLabels));
  expect(guarded.sort()).toEqual(workloads.map(nameOf).sort());
  for (const { spec } of ofKind('PodDisruptionBudget')) expect(spec.maxUnavailable).toBe(1);
  for (const { spec } of workloads)
    for (const { labelSelector } of spec.template.spec.topologySpreadConstraints)
      expect(labelSelector.matchLabels).toEqual(spec.selector.matchLabels);
});

test('ports are found by their names', () => {
  for (const service of ofKind('Service'))
    for (const { targetPort } of service.spec.ports) {
      const workload = workloads.find(({ spec }) => selects(service.spec.selector, spec.template.metadata.labels));
      const ports = workload === undefined ? [] : container(workload).ports;
      expect(ports.map(({ name }: { name: string }) => name)).toContain(targetPort);
    }
  for (const { spec } of ofKind('Ingress'))
    for (const { http } of spec.rules)
      for (const { backend } of http.paths) {
        const service = ofKind('Service').find(({ metadata }) => metadata.name === backend.service.name);
        expect(service?.spec.ports.map(({ name }: { name: string }) => name)).toContain(backend.service.port.name);
      }
});

describe.each(servers.map((manifest) => [manifest.metadata.name, manifest] as const))(
  'the workload %s',
  (name, manifest) => {
    const { template } = manifest.spec;
    const one = container(manifest);

    test('runs that service under the name of its pod, with settings that the server takes', () => {
      const values = {
        ...environmentOf(manifest),
        DATABASE_URL: 'postgres://u@h/d',
        JWT_SECRET: 'a secret for tests, of at least 32 bytes',
      };
      const config = readConfig({ ...imageEnvironment(), ...values });
      expect([...config.services]).toEqual([name as 'users']);
      expect([config.node_id, config.trust_proxy]).toEqual(['a-name', true]);
      expect(
        one.env.find((variable: { name: string }) => variable.name === 'NODE_ID').valueFrom.fieldRef.fieldPath,
      ).toBe('metadata.name');
      expect(String(one.ports[0].containerPort)).toBe(imageEnvironment().PORT ?? '');
      const known = readFileSync(join(ROOT, 'src/config.ts'), 'utf8');
      for (const key of Object.keys(values))
        expect([key, known.includes(`'${key}'`) || known.includes(`env.${key}`)]).toEqual([key, true]);
    });

    test('is asked what the server answers: /healthz whether it lives, /readyz whether it may be called', () => {
      expect(one.startupProbe.httpGet).toEqual({ path: '/healthz', port: 'http' });
      expect(one.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'http' });
      expect(one.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' });
      const routes = readFileSync(join(ROOT, 'src/http/health.ts'), 'utf8');
      for (const path of ['/healthz', '/readyz', template.metadata.annotations['prometheus.io/path']])
        expect(routes).toContain(`'${path}'`);
      expect(Number(template.metadata.annotations['prometheus.io/port'])).toBe(one.ports[0].containerPort);
    });

    test('is given the time that it needs to drain', () => {
      const asleep_ms = Number(one.lifecycle.preStop.exec.command[1]) * 1_000;
      expect(asleep_ms).toBeGreaterThan(0);
      expect(template.spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(asleep_ms + TIMES.drain_ms);
    });
  },
);

test('pods have no rights, and nothing to write to but a folder of their own', () => {
  for (const { metadata, spec } of workloads) {
    const pod = spec.template.spec;
    expect([metadata.name, pod.securityContext.runAsNonRoot, pod.securityContext.runAsUser > 0]).toEqual([
      metadata.name,
      true,
      true,
    ]);
    expect(pod.securityContext.seccompProfile).toEqual({ type: 'RuntimeDefault' });
    expect(pod.automountServiceAccountToken).toBe(false);
    for (const one of pod.containers) {
      expect(one.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect([one.resources.requests.cpu, one.resources.requests.memory, one.resources.limits.memory]).not.toContain(
        undefined,
      );
      const volumes = pod.volumes.map(({ name }: { name: string }) => name);
      for (const mount of one.volumeMounts) expect(volumes).toContain(mount.name);
    }
  }
});

test('images are those of docker-compose.yml, of the version of this checkout', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(readKustomization().images.map(({ name, newTag }) => [name, newTag])).toEqual([['concord', version]]);
  for (const manifest of servers) expect(container(manifest).image).toBe(`concord:${version}`);
  const balancer = workloads.find(({ metadata }) => metadata.name === 'balancer');
  if (balancer !== undefined) expect(container(balancer).image).toBe(containerOf(readCompose(), 'balancer').image);
});

test('autoscalers scale what is there, by metrics that are there', async () => {
  const text = await createMetrics().registry.metrics();
  for (const { spec } of ofKind('HorizontalPodAutoscaler')) {
    const { kind, name, apiVersion } = spec.scaleTargetRef;
    const target = workloads.find((workload) => nameOf(workload) === `${kind} ${name}`);
    expect([name, target?.apiVersion]).toEqual([name, apiVersion]);
    // Else every apply would set back what the autoscaler said.
    expect(target?.spec.replicas).toBeUndefined();
    for (const metric of spec.metrics)
      if (metric.type === 'Pods') expect(text).toContain(`# TYPE ${metric.pods.metric.name} gauge`);
  }
  expect(
    ofKind('HorizontalPodAutoscaler')
      .flatMap(({ spec }) => spec.metrics)
      .map(({ type }) => type),
  ).toContain('Pods');
  expect(
    ofKind('HorizontalPodAutoscaler')
      .map(({ metadata }) => metadata.name)
      .sort(),
  ).toEqual([...SERVICES].sort());
});

test('the balancer knows each pod of collaboration that the autoscaler may make, and every service by its name', () => {
  const balancer = workloads.find(({ metadata }) => metadata.name === 'balancer');
  const autoscaler = ofKind('HorizontalPodAutoscaler').find(({ metadata }) => metadata.name === 'collaboration');
  const stateful = workloads.find(({ metadata }) => metadata.name === 'collaboration');
  if (balancer === undefined) throw new Error('there is no balancer');
  const env = environmentOf(balancer);
  const domain = `${stateful?.spec.serviceName}.concord.svc.cluster.local:3000`;
  const pods = Array.from({ length: autoscaler?.spec.maxReplicas }, (_, i) => `collaboration-${i}.${domain}`);
  expect(env.COLLABORATION?.split(' ')).toEqual(pods);
  for (const service of SERVICES)
    if (service !== 'collaboration')
      expect(env[service.toUpperCase()]).toBe(`${service}.concord.svc.cluster.local:3000`);
  expect(ofKind('Service').find(({ metadata }) => metadata.name === stateful?.spec.serviceName)?.spec.clusterIP).toBe(
    'None',
  );
  // The script has a place for each of them, and the files that it wants are mounted where it is started.
  const script = readFileSync(join(ROOT, 'deploy/balancer.sh'), 'utf8');
  for (const key of Object.keys(env))
    expect(script).toContain(`$${key === 'TRUSTED' ? '{TRUSTED' : key === 'RESOLVER' ? '{RESOLVER' : key}`);
  const [generated] = readKustomization().configMapGenerator;
  expect(generated?.name).toBe(
    balancer.spec.template.spec.volumes.find((volume: { name: string }) => volume.name === 'files').configMap.name,
  );
  for (const file of generated?.files ?? []) expect(existsSync(join(ROOT, 'deploy', file))).toBe(true);
  expect(container(balancer).command).toEqual(['sh', '/etc/concord/balancer.sh']);
});

test('the network lets the balancer through to every service', () => {
  const [policy] = ofKind('NetworkPolicy');
  expect(policy?.spec.podSelector.matchExpressions[0].values).toEqual([...SERVICES]);
  expect(selected(policy?.spec.ingress[0].from[0].podSelector.matchLabels)).toEqual(['Deployment balancer']);
});
