import { startS3 } from '/work/main/parts/s3-server.ts';
import { initialiseS3 } from '/work/main/src/storage/s3/initialise.ts';
import { openS3 } from '/work/main/src/storage/s3/s3.ts';
import { openDirectory } from '/work/main/src/storage/directory.ts';
import { initialiseDirectory } from '/work/main/src/storage/initialise.ts';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFileSync } from 'node:fs';
const [kind, gb] = [process.argv[2], Number(process.argv[3])];
const server = kind==='s3' ? await startS3() : undefined;
const dir = mkdtempSync('/tmp/holdfast-measure-');
const never = new AbortController().signal;
const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status','utf8'))![1])/1024;
try {
 let repo;
 if (server) {
  const spec = {name:'x', s3:{bucket:server.bucket,prefix:'',endpoint:server.endpoint,region:server.region,pathStyle:true,maxParts:10000,partSize:null,credentials:{accessKeyId:{env:'A'},secretAccessKey:{env:'B'},sessionToken:null}}};
  const read = async (r:any)=> r.env==='A'?server.accessKeyId:server.secretAccessKey;
  await initialiseS3(spec, read, {now:new Date()}); repo = openS3(spec, read); await repo.check();
 } else { await initialiseDirectory({directory:dir, now:new Date()}); repo = openDirectory({directory:dir}); }
 const chunk = randomBytes(65536);
 const base = peak(); 
 let t = performance.now();
 const w = await repo.stage('a/big', {run:'r',attempt:1}, never, {expectedBytes: gb*2**30});
 for (let i=0;i<gb*16384;i++) { chunk[i%65536]^=1; await w.write(chunk); }
 const s = await w.finish(); const t1 = performance.now();
 await repo.publish(s); const t2 = performance.now();
 console.log(kind, gb, 'GiB: write', ((t1-t)/1000).toFixed(1), 's, publish', ((t2-t1)/1000).toFixed(1), 's, total', ((t2-t)/1000).toFixed(1), 'cpu', (process.cpuUsage().user/1e6).toFixed(1), (process.cpuUsage().system/1e6).toFixed(1), 'peak rss', peak().toFixed(0), 'MiB; before', base.toFixed(0), 'token', s.token.length);
} finally { await server?.stop(); rmSync(dir,{recursive:true,force:true}); }
