/** Column names are snake_case in Postgres and camelCase in TypeScript. */
import { DefaultNamingStrategy } from 'typeorm';

export class SnakeCaseNaming extends DefaultNamingStrategy {
  override columnName(property: string, custom: string | undefined): string {
    return custom ?? property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }
}
