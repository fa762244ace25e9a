/** Writes holdfast.schema.json, from which editors complete and check holdfast.yaml. `npm run schema` */
import { writeFileSync } from 'node:fs';
import { configJsonSchema } from '../src/domain/config.ts';

writeFileSync(new URL('../holdfast.schema.json', import.meta.url), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
